// Who the server is, and that the tunnel is never sent through itself.
import type { Test } from 'tap';
import { type Lab, linkAlone, onLink, scenario } from './lab.ts';

const automatic = `
[link.work]
default-route = "replace"
server = "auto"
`;

/** What stands in the peers file that pppd was called with, and the pins. */
const peersFiles: Record<string, { text: string; pins: string[] }> = {
  'pty "pptp SERVER"': {
    text: 'pty "pptp 203.0.113.21 --nolaunchpppd"\nname me\nfile /etc/ppp/options.pptp\nipparam work\n',
    pins: ['203.0.113.21'],
  },
  'pty, options first': { text: "pty '/usr/sbin/pptp --loglevel 0 203.0.113.22'\n", pins: ['203.0.113.22'] },
  'plugin pptp.so': { text: 'plugin pptp.so\npptp_server 203.0.113.23\n', pins: ['203.0.113.23'] },
  'a line that goes on': { text: 'pty "pptp \\\n203.0.113.24 --nolaunchpppd"\n', pins: ['203.0.113.24'] },
  'no server (PPPoE)': { text: 'plugin pppoe.so eth0\nname me\n', pins: [] },
};

scenario('server = "auto": from the peers file', async (lab, t) => {
  await lab.machine({ profiles: automatic });
  for (const [what, { text, pins }] of Object.entries(peersFiles)) {
    await lab.write('peers/office', text);
    await lab.up('ppp0', { environment: { CALL_FILE: 'office' } });
    await showsPins(lab, t, { pins, what });
    await lab.down('ppp0');
    await lab.restored();
  }
});

scenario('server = "auto": from the pptp process that is a child of pppd', async (lab, t) => {
  await lab.machine({ profiles: automatic });
  // A shell that waits for its input, under the name and with the arguments of pptp.
  const pppd = lab.start([
    ...['perl', '-e', '$| = 1; fork or exec { "/bin/sh" } @ARGV; print "forked\n"; wait', '--'],
    ...['pptp', '-s', '203.0.113.25', '--nolaunchpppd'],
  ]);
  await new Promise(resolve => pppd.stdout.once('data', resolve));
  await lab.until(async () =>
    (await lab.run('ps', '-o', 'args=', '--ppid', `${pppd.pid}`)).startsWith('pptp'),
  );
  await lab.up('ppp0', { environment: { PPPD_PID: `${pppd.pid}` } });
  await showsPins(lab, t, { pins: ['203.0.113.25'] });
  await lab.down('ppp0', { environment: { PPPD_PID: `${pppd.pid}` } });
  await lab.restored();
});

scenario('server = "auto": from the pptp process that started pppd', async (lab, t) => {
  await lab.machine({ profiles: automatic });
  const pptp = lab.start([
    'perl',
    '-e',
    '$| = 1; $0 = "pptp: call manager for 203.0.113.26"; $pid = fork; sleep 100 unless $pid; print "$pid\n"; wait',
  ]);
  const pid = await new Promise<string>(resolve =>
    pptp.stdout.once('data', data => resolve(`${data}`.trim())),
  );
  await lab.up('ppp0', { environment: { PPPD_PID: pid } });
  await showsPins(lab, t, { pins: ['203.0.113.26'] });
  await lab.down('ppp0', { environment: { PPPD_PID: pid } });
  await lab.restored();
  process.kill(Number(pid));
});

scenario('server = a name; it has no address yet: nothing is moved until it has', async (lab, t) => {
  await lab.machine({
    profiles: `
      [link.work]
      default-route = "replace"
      server = "vpn.example"
    `,
  });
  await lab.write('hosts', '127.0.0.1 localhost\n');
  await lab.write('resolv.conf', 'nameserver 127.0.0.1\n');
  await lab.run('mount', '--bind', `${lab.directory}/hosts`, '/etc/hosts');
  await lab.run('mount', '--bind', `${lab.directory}/resolv.conf`, '/etc/resolv.conf');

  await lab.connect('ppp0');
  const { exitCode, stderr, seconds } = await lab.hook('ip-up', 'ppp0');
  t.equal(exitCode, 0);
  t.match(stderr, /^ppp-routed: error SERVER no address for vpn\.example$/);
  t.ok(seconds < 2.5, `after ${seconds} s`);
  await lab.shows(linkAlone);
  t.equal((await lab.status()).degraded, true);

  await lab.write('hosts', '127.0.0.1 localhost\n203.0.113.5 vpn.example\n');
  await lab.comesToShow(onLink, 7000);
  t.equal((await lab.status()).degraded, false);
  await lab.down('ppp0');
  await lab.restored();
});

const configured: Record<string, { server: string; pins: string[] }> = {
  several: { server: '["203.0.113.5", "203.0.113.6"]', pins: ['203.0.113.5', '203.0.113.6'] },
  none: { server: '"none"', pins: [] },
  'on the LAN': { server: '"192.168.1.77"', pins: [] },
  'the gateway itself': { server: '"192.168.1.1"', pins: [] },
};

for (const [what, { server, pins }] of Object.entries(configured)) {
  scenario(`the server: ${what}`, async (lab, t) => {
    await lab.machine({ profiles: `[link.work]\ndefault-route = "replace"\nserver = ${server}\n` });
    await lab.up('ppp0');
    await showsPins(lab, t, { pins });
    for (const address of server.match(/[\d.]+/g) ?? [])
      t.equal(await lab.deviceTo(address), 'eth0', address);
    await lab.down('ppp0');
    await lab.restored();
  });
}

scenario('the peer’s address is the server’s: the pin wins over the kernel’s own route', async (lab, t) => {
  await lab.machine();
  const call = { remote: '203.0.113.5' };
  await lab.up('ppp0', call);
  await lab.shows(`
    default dev ppp0 proto 173 scope link
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
    203.0.113.5 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
    203.0.113.5 dev ppp0 proto kernel scope link src 10.99.0.2
  `);
  t.equal(await lab.deviceTo('203.0.113.5'), 'eth0', 'the tunnel does not loop');
  t.equal(await lab.deviceTo('198.51.100.7'), 'ppp0');
  await lab.down('ppp0', call);
  await lab.restored();
});

for (const mode of ['metric', 'half', 'table', 'none']) {
  scenario(`the peer’s address is the server’s, default-route = "${mode}"`, async (lab, t) => {
    await lab.machine({ profiles: `[link.work]\ndefault-route = "${mode}"\nserver = "203.0.113.5"\n` });
    const call = { remote: '203.0.113.5' };
    await lab.up('ppp0', call);
    t.equal(await lab.deviceTo('203.0.113.5'), 'eth0', 'the tunnel does not loop');
    t.equal(await lab.deviceTo('198.51.100.7'), mode === 'none' ? 'eth0' : 'ppp0');
    await lab.down('ppp0', call);
    await lab.restored();
  });
}

scenario('pppd’s own `defaultroute` is no uplink', async (lab, t) => {
  await lab.machine();
  await lab.connect('ppp0');
  await lab.ip('route append default dev ppp0');
  await lab.fine(lab.hook('ip-up', 'ppp0'));
  await lab.shows(`
    default dev ppp0 proto 173 scope link
    default dev ppp0 scope link
    10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
    203.0.113.5 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
  `);
  t.equal((await lab.state()).savedDefaults.length, 1);
  await lab.down('ppp0');
  await lab.restored();
});

/** The host routes that are ours lead to these servers over the uplink, and there are no others. */
async function showsPins(
  lab: Lab,
  t: Test,
  { pins, what = 'pins' }: { pins: string[]; what?: string },
): Promise<void> {
  const ours = (await lab.lines('route show proto 173')).filter(line => !line.startsWith('default'));
  t.same(
    ours,
    pins.map(server => `${server} via 192.168.1.1 dev eth0 src 192.168.1.10`),
    what,
  );
  t.equal(await lab.deviceTo('198.51.100.7'), 'ppp0', what);
}
