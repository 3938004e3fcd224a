// Rows 1 to 8: one link comes and goes, and what may happen in between.
import { base, linkAlone, onLink, scenario } from './lab.ts';

const lease = 'default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100';

scenario('1. the table of the PPTP how-to; up; down', async (lab, t) => {
  await lab.machine({
    addresses: ['192.168.1.100/24 dev wlp2s0'],
    routes: `
      default via 192.168.1.1 dev wlp2s0 metric 302
      69.90.184.209 via 192.168.1.1 dev wlp2s0 src 192.168.1.100
      192.168.1.0/24 dev wlp2s0 proto kernel scope link src 192.168.1.100
      192.168.1.0/24 dev wlp2s0 proto kernel scope link src 192.168.1.100 metric 302
      192.168.1.100 via 127.0.0.1 dev lo metric 302
    `,
  });

  await lab.up('ppp0');
  await lab.shows(`
    default dev ppp0 proto 173 scope link
    10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
    69.90.184.209 via 192.168.1.1 dev wlp2s0 src 192.168.1.100
    192.168.1.0/24 dev wlp2s0 proto kernel scope link src 192.168.1.100
    192.168.1.0/24 dev wlp2s0 proto kernel scope link src 192.168.1.100 metric 302
    192.168.1.100 via 127.0.0.1 dev lo metric 302
    203.0.113.5 via 192.168.1.1 dev wlp2s0 proto 173
  `);
  const [saved] = (await lab.state()).savedDefaults;
  t.equal(saved?.route, 'default via 192.168.1.1 dev wlp2s0 metric 302');

  await lab.down('ppp0');
  await lab.restored();
});

scenario('1. a person with nothing but the state file gets the machine back online', async (lab, t) => {
  await lab.machine({
    addresses: ['192.168.1.100/24 dev wlp2s0'],
    routes: `
      default via 192.168.1.1 dev wlp2s0 metric 302
      192.168.1.0/24 dev wlp2s0 proto kernel scope link src 192.168.1.100
    `,
  });
  await lab.up('ppp0');
  const [saved] = (await lab.state()).savedDefaults;
  await lab.stopDaemon('SIGKILL');
  await lab.ip('link del ppp0');
  await lab.ip(`route add ${saved?.route}`);
  await lab.ip('route del 203.0.113.5');
  await lab.restored();
  t.equal(saved?.route, 'default via 192.168.1.1 dev wlp2s0 metric 302');
});

scenario('1. up, down, many times in one run', async lab => {
  await lab.machine();
  for (let time = 1; time <= 5; time++) {
    await lab.up('ppp0');
    await lab.shows(onLink);
    await lab.down('ppp0');
    await lab.restored();
  }
});

scenario('2. two defaults, metrics 100 and 600; up; down', async (lab, t) => {
  await lab.machine({
    addresses: ['192.168.1.10/24 dev eth0', '172.16.0.10/24 dev wlan0'],
    routes: `
      default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100
      default via 172.16.0.1 dev wlan0 proto dhcp src 172.16.0.10 metric 600
      172.16.0.0/24 dev wlan0 proto kernel scope link src 172.16.0.10
      192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
    `,
  });

  await lab.up('ppp0');
  await lab.shows(`
    default dev ppp0 proto 173 scope link
    10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
    172.16.0.0/24 dev wlan0 proto kernel scope link src 172.16.0.10
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
    203.0.113.5 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
  `);
  t.same(
    (await lab.state()).savedDefaults.map(({ route }) => route),
    [lease, 'default via 172.16.0.1 dev wlan0 proto dhcp src 172.16.0.10 metric 600'],
  );

  await lab.down('ppp0');
  await lab.restored();
});

scenario('3. pppd is killed: the interface vanishes, ip-down never runs', async (lab, t) => {
  await lab.machine();
  await lab.up('ppp0');
  await lab.ip('link del ppp0');
  await lab.comesToShow(base, 1000);
  await lab.restored();
  await lab.says(/^work: ppp0 is gone; treating it as down$/);
  t.same((await lab.status()).links, [], 'and forgotten');
});

scenario('3. a normal hang-up: pppd runs ip-down when the interface is gone', async (lab, t) => {
  await lab.machine();
  await lab.up('ppp0');
  await lab.ip('link del ppp0');
  await lab.comesToShow(base, 1000);
  await lab.fine(lab.hook('ip-down', 'ppp0'));
  const hangUp = 'ip-down of ppp0: the interface went before, and the link was ended then';
  await lab.says(/^ip-down of ppp0/);
  const told = lab.log().filter(line => line.includes('ip-down of'));
  t.same(told, [hangUp], 'no notice, and nothing of a link that was not up');
  await lab.restored();
});

scenario('4. the daemon is killed while the link is up; started; down', async (lab, t) => {
  await lab.machine();
  await lab.up('ppp0');
  await lab.stopDaemon('SIGKILL');
  await lab.shows(onLink, 'routes stay');
  await lab.startDaemon();
  await lab.shows(onLink);
  t.same((await lab.state()).savedDefaults, [{ family: 'inet', route: lease }], 'ppp0 is no uplink');
  await lab.down('ppp0');
  await lab.restored();
});

scenario('4. the daemon is stopped while the link is up; started; down', async lab => {
  await lab.machine();
  await lab.up('ppp0');
  await lab.stopDaemon('SIGTERM');
  await lab.shows(onLink, 'routes stay');
  await lab.startDaemon();
  await lab.shows(onLink);
  await lab.down('ppp0');
  await lab.restored();
});

scenario('5. the daemon is killed while the link is up; the link goes; the daemon starts', async lab => {
  await lab.machine();
  await lab.up('ppp0');
  await lab.stopDaemon('SIGKILL');
  await lab.ip('link del ppp0');
  await lab.shows(
    `
      192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
      203.0.113.5 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
    `,
    'offline until it starts',
  );
  await lab.startDaemon();
  await lab.restored();
});

scenario('5. … while the kernel has something to say all the time', async (lab, t) => {
  await lab.machine();
  await lab.up('ppp0');
  await lab.stopDaemon('SIGKILL');
  const { savedDefaults } = await lab.state();
  const churn = 'while ip route add 198.18.0.0/15 dev lo; do ip route del 198.18.0.0/15 dev lo; done';
  await lab.ip('link set lo up');
  const other = lab.start(['/bin/sh', '-c', churn]);
  // What is heard before the state is read must not be acted on: how early it comes is another matter each time.
  for (let start = 1; start <= 12; start++) {
    await lab.startDaemon();
    t.same((await lab.state()).savedDefaults, savedDefaults, 'what was saved is known');
    await lab.stopDaemon('SIGKILL');
  }
  other.kill('SIGKILL');
  await other.catch(() => undefined);
  await lab.ip('route del 198.18.0.0/15 dev lo').catch(() => undefined);
  await lab.startDaemon();
  await lab.shows(onLink);
  await lab.down('ppp0');
  await lab.restored();
});

scenario('5. … and ip-down waits in the spool', async (lab, t) => {
  await lab.machine();
  await lab.up('ppp0');
  await lab.stopDaemon('SIGKILL');
  await lab.down('ppp0');
  await lab.startDaemon();
  await lab.restored();
  t.equal(await lab.run('ls', `${lab.directory}/run/spool`), '', 'the spool is empty');
});

scenario('6. a state file of an earlier boot; the daemon starts', async (lab, t) => {
  await lab.machine({ daemon: false });
  await lab.startDaemon({ PPP_ROUTED_BOOT_ID: '11111111111111111111111111111111' });
  await lab.up('ppp0');
  await lab.stopDaemon();
  // What a boot leaves: none of our routes, a new lease.
  await lab.ip('link del ppp0');
  await lab.ip('route del 203.0.113.5');
  await lab.ip('route add default via 192.168.1.254 dev eth0 proto dhcp src 192.168.1.10 metric 100');
  const before = await lab.table();

  await lab.startDaemon({ PPP_ROUTED_BOOT_ID: '22222222222222222222222222222222' });
  t.equal(await lab.table(), before, 'the kernel’s routes are untouched');
  await lab.says(
    /^notice: the state in .*\/state is of an earlier boot and is history now: the kernel has fresh routes$/,
  );
});

scenario('7. up, up', async (lab, t) => {
  await lab.machine();
  await lab.up('ppp0');
  const saved = await lab.state();
  await lab.fine(lab.hook('ip-up', 'ppp0'));
  await lab.shows(onLink);
  t.same(await lab.state(), saved, 'the saved default is unchanged');
  await lab.says(/^ip-up of ppp0: known already$/);
  await lab.down('ppp0');
  await lab.restored();
});

scenario('8. down without up', async (lab, t) => {
  await lab.machine();
  await lab.connect('ppp0');
  const before = await lab.table();
  const log = lab.log().length;
  await lab.fine(lab.hook('ip-down', 'ppp0'));
  t.equal(await lab.table(), before, 'no change');
  t.same(await lab.journal(log, 1), ['notice: ip-down of ppp0: nothing to do, ppp0 was not up']);
});

scenario('8. ip-up for an interface that does not exist', async (lab, t) => {
  await lab.machine();
  const log = lab.log().length;
  await lab.fine(lab.hook('ip-up', 'ppp7'));
  await lab.restored();
  t.same(await lab.journal(log, 1), ['notice: ip-up of ppp7: nothing to do, there is no interface ppp7']);
});

scenario('14. NetworkManager’s, ConnMan’s and a link that no profile matches', async (lab, t) => {
  await lab.machine({
    profiles: `
      [link.everything]
      match = { interface = "ppp0" }
      default-route = "replace"
      server = "203.0.113.5"
    `,
  });
  const strangers = {
    'org.freedesktop.NetworkManager': { name: 'ppp0', ipparam: '/org/freedesktop/NetworkManager/PPP/3' },
    'NetworkManager’s L2TP': { name: 'ppp0', ipparam: 'nm-l2tp-service-4711' },
    ConnMan: { name: 'ppp0', ipparam: '/usr/lib/connman/scripts/libppp-plugin.so pptp_plugin' },
    'a client that dialled in': { name: 'ppp5', ipparam: '' },
  };
  for (const [who, { name, ipparam }] of Object.entries(strangers)) {
    await lab.connect(name);
    const before = await lab.table();
    await lab.fine(lab.hook('ip-up', name, { ipparam }));
    t.equal(await lab.table(), before, `${who}: left alone`);
    t.same(
      (await lab.status()).links.map(link => link.says),
      [`unmanaged: ${name} left alone`],
      'recorded',
    );
    await lab.down(name, { ipparam });
    await lab.restored();
  }
  await lab.says(/^ip-up of ppp5: 10\.99\.5\.2 to 10\.99\.5\.1, left alone: no profile matches/);
  await lab.says(/^ip-up of ppp0: 10\.99\.0\.2 to 10\.99\.0\.1, left alone: another manager runs it$/);
});

scenario('15. a persist flap: the old ip-down comes when the new ppp0 is there already', async lab => {
  await lab.machine();
  await lab.up('ppp0');
  await lab.ip('link del ppp0');
  await lab.connect('ppp0');
  await lab.fine(lab.hook('ip-down', 'ppp0'));
  await lab.shows(linkAlone);
  await lab.fine(lab.hook('ip-up', 'ppp0'));
  await lab.shows(onLink);
  await lab.down('ppp0');
  await lab.restored();
});

scenario('15. … and the new ip-up was faster', async (lab, t) => {
  await lab.machine();
  await lab.up('ppp0');
  await lab.ip('link del ppp0');
  await lab.connect('ppp0');
  await lab.fine(lab.hook('ip-up', 'ppp0', { environment: { PPPD_PID: '4712' } }));
  await lab.shows(onLink);
  await lab.fine(lab.hook('ip-down', 'ppp0', { environment: { PPPD_PID: '4711' } }));
  await lab.shows(onLink, 'the new link’s routes are not torn down');
  t.same((await lab.state()).savedDefaults, [{ family: 'inet', route: lease }]);
  await lab.down('ppp0', { environment: { PPPD_PID: '4712' } });
  await lab.restored();
});

scenario('no default before; a down takes ours away though the interface stays', async (lab, t) => {
  const lonely = `
    10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
  `;
  await lab.machine({
    routes: '192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10',
    profiles: '[link.work]\ndefault-route = "replace"\nserver = "none"\n',
  });
  await lab.up('ppp0');
  await lab.shows(`default dev ppp0 proto 173 scope link\n${lonely}`);
  await lab.fine(lab.hook('ip-down', 'ppp0'));
  await lab.shows(lonely);
  t.same((await lab.status()).troubles, [], 'and nothing is amiss');
});
