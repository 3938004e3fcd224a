// Who the server is, and that the tunnel is never sent through itself.
import type { Test } from 'tap';
import { ends6, type Lab, linkAlone, onLink, scenario } from './lab.ts';

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

/**
 * pppd and pptp, played by shells under pptp's name and with its arguments; each prints the process that is pppd. They end
 * when the one that holds `never` open for writing does.
 */
const processes: Record<string, { server: string; script: string }> = {
  'a child of pppd': {
    server: '203.0.113.25',
    script: './pptp -s 203.0.113.25 --nolaunchpppd <never 9>&- & echo $$; wait',
  },
  'behind the shell that pppd starts for `pty`': {
    server: '203.0.113.26',
    script: 'sh -c "./pptp -s 203.0.113.26 --nolaunchpppd; :" <never 9>&- & echo $$; wait',
  },
  'what started pppd': {
    server: '203.0.113.27',
    script: `echo "sh -c 'read line' <never 9>&- & echo \\$!; wait" >commands; exec ./pptp -s 203.0.113.27 <commands`,
  },
};

for (const [what, { server, script }] of Object.entries(processes)) {
  scenario(`server = "auto": the pptp process is ${what}`, async (lab, t) => {
    await lab.machine({ profiles: automatic });
    await lab.run('ln', '-s', '/bin/sh', `${lab.directory}/pptp`);
    await lab.run('mkfifo', `${lab.directory}/never`);
    const started = lab.start(['sh', '-c', `cd "$0" && exec 9<>never; ${script}`, lab.directory]);
    const pppd = await new Promise<string>(resolve =>
      started.stdout.once('data', data => resolve(`${data}`.trim())),
    );
    await lab.until(async () => (await lab.run('pgrep', '-f', `^./pptp -s ${server}`)) !== '');
    await lab.up('ppp0', { environment: { PPPD_PID: pppd } });
    await showsPins(lab, t, { pins: [server] });
    await lab.down('ppp0', { environment: { PPPD_PID: pppd } });
    await lab.restored();
  });
}

scenario('server = a name; it has no address yet: nothing is moved until it has', async (lab, t) => {
  await lab.machine({ profiles: named('restore') });
  await resolves(lab, '');

  await lab.connect('ppp0');
  const { exitCode, stderr, seconds } = await lab.hook('ip-up', 'ppp0');
  t.equal(exitCode, 0);
  t.match(stderr, /^ppp-routed: error SERVER no address for vpn\.example$/);
  t.ok(seconds < 2.5, `after ${seconds} s`);
  await lab.shows(linkAlone);
  t.equal((await lab.status()).degraded, true);

  await resolves(lab, '203.0.113.5 vpn.example');
  await lab.comesToShow(onLink, 7000);
  t.equal((await lab.status()).degraded, false);
  await lab.down('ppp0');
  await lab.restored();
});

scenario(
  'server = a name that does not resolve any more, on-loss = "block": nothing leaks',
  async (lab, t) => {
    await lab.machine({ daemon: false, profiles: named('block') });
    await resolves(lab, '203.0.113.5 vpn.example');
    await lab.startDaemon();
    await lab.up('ppp0');
    const up = await lab.ip('route');
    await resolves(lab, '');
    for (const event of ['ipv6-up', 'ip-up'] as const) {
      await lab.fine(lab.hook(event, 'ppp0', event === 'ipv6-up' ? ends6 : {}));
      t.equal(await lab.ip('route'), up, `${event} of a link that is up`);
    }
    await lab.ip('link del ppp0');
    await lab.until(async () => (await lab.status()).status.includes('traffic stops until it returns'));
    await t.rejects(lab.deviceTo('198.51.100.7'), 'dark');
    await lab.up('ppp0');
    t.equal(await lab.ip('route'), up, 'and it returned');
    t.match(await lab.status(), { degraded: true, status: /no address for the server vpn\.example/ });
    await resolves(lab, '203.0.113.5 vpn.example');
    await lab.until(async () => !(await lab.status()).degraded, 15_000);
    await lab.down('ppp0');
    await lab.ask('restore');
    await lab.restored();
  },
);

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

/** Uplinks of which something is not understood, or could not be given back: they stay, and lead to the server. */
const strangers: Record<string, { uplink: string; server: string; gateway: string }> = {
  'of one source, as odhcp6c adds it': {
    uplink: '-6 route add default from 2001:db8:1::/64 via fe80::1 dev eth0 proto static metric 512',
    server: '2001:db8:5::1',
    gateway: 'fe80::1',
  },
  'with an encapsulation': {
    uplink: 'route add default encap ip id 100 dst 10.1.1.1 via 192.168.1.1 dev eth0',
    server: '203.0.113.5',
    gateway: '192.168.1.1',
  },
};

for (const [what, { uplink, server, gateway }] of Object.entries(strangers)) {
  scenario(`the uplink’s default is one ${what}: the server is reached by its gateway`, async (lab, t) => {
    await lab.machine({
      addresses: ['192.168.1.10/24 dev eth0', '2001:db8:1::2/64 dev eth0'],
      routes: '192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10',
      profiles: `[link.work]\ndefault-route = "replace"\nserver = "${server}"\nipv6 = "route"\n`,
    });
    await lab.ip(uplink);
    await lab.connect('ppp0');
    await lab.connect6('ppp0');
    await lab.fine(lab.hook('ip-up', 'ppp0'));
    await lab.fine(lab.hook('ipv6-up', 'ppp0', ends6));
    const family = server.includes(':') ? '-6 ' : '';
    t.match(await lab.ip(`${family}route get ${server}`), `via ${gateway} dev eth0`);
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

const named = (onLoss: string) => `
  [link.work]
  default-route = "replace"
  server = "vpn.example"
  on-loss = "${onLoss}"
`;

/** From now on the machine knows this line of hosts(5), and no name server. */
async function resolves(lab: Lab, line: string): Promise<void> {
  await lab.write('hosts', `127.0.0.1 localhost\n${line}\n`);
  await lab.write('resolv.conf', 'nameserver 127.0.0.1\n');
  if ((await lab.run('cat', '/proc/self/mountinfo')).includes(' /etc/hosts ')) return;
  for (const name of ['hosts', 'resolv.conf'])
    await lab.run('mount', '--bind', `${lab.directory}/${name}`, `/etc/${name}`);
}

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
