// on-loss = "block": a link that died stops traffic instead of letting it out by the uplink.
import { base, ends6, onLink, scenario } from './lab.ts';

const profile = (mode: string) => `
  [link.work]
  default-route = "${mode}"
  server = "203.0.113.5"
  on-loss = "block"
`;
const world = '198.51.100.7';

for (const mode of ['replace', 'metric', 'half', 'table']) {
  scenario(`the link dies, on-loss = "block", default-route = "${mode}"`, async (lab, t) => {
    await lab.machine({
      commands: ['neighbour add 192.168.1.1 lladdr 02:00:00:00:00:01 nud permanent dev eth0'],
      profiles: profile(mode),
    });
    const isDark = async (because: string) => {
      await t.rejects(lab.deviceTo(world), `${because}: nothing leaves`);
      t.equal(
        await lab.deviceTo('203.0.113.5'),
        'eth0',
        `${because}: but to the server, for the link to come back`,
      );
      t.equal(await lab.deviceTo('192.168.1.77'), 'eth0', `${because}: and to the LAN`);
    };
    await lab.up('ppp0');
    t.equal(await lab.deviceTo(world), 'ppp0');

    const sender = lab.start(['perl', `${import.meta.dirname}/sender.pl`, world]);
    await new Promise(resolve => sender.stdout.once('data', resolve));
    const sentByUplink = async () =>
      Number(await lab.run('cat', '/sys/class/net/eth0/statistics/tx_packets'));
    const before = await sentByUplink();
    await lab.ip('link del ppp0');
    await isDark('at once');
    await lab.says(/^work: ppp0 is gone; treating it as down, and nothing leaves until it returns$/);
    await isDark('when the daemon has looked');
    await lab.until(async () =>
      (await lab.status()).status.includes('ppp0 is lost, traffic stops until it returns'),
    );
    await lab.stopDaemon('SIGKILL');
    await isDark('without a daemon');
    await lab.startDaemon();
    await isDark('after a restart');
    t.equal(await sentByUplink(), before, 'not one datagram leaked');
    sender.kill();

    await lab.up('ppp0');
    t.equal(await lab.deviceTo(world), 'ppp0', 'the link returned');
    await lab.down('ppp0');
    await isDark('after a down that pppd told');
    await lab.ask('restore');
    await lab.restored();
  });
}

scenario('on-loss = "block": the table while up, while lost, and while up again', async lab => {
  await lab.machine({ profiles: profile('replace') });
  await lab.up('ppp0');
  await lab.shows(`
    default dev ppp0 proto 173 scope link
    unreachable default proto 173 metric 1
    10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
    203.0.113.5 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
  `);
  await lab.ip('link del ppp0');
  await lab.comesToShow(`
    unreachable default proto 173
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
    203.0.113.5 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
  `);
  await lab.up('ppp0');
  await lab.shows(onLink.replace('scope link\n', 'scope link\n  unreachable default proto 173 metric 1\n'));
  await lab.configure(profile('replace').replace('"block"', '"restore"'));
  await lab.shows(onLink);
  await lab.down('ppp0');
  await lab.shows(base);
  await lab.restored();
});

scenario('on-loss = "block": the disk is full while it is dark, and the link returns', async (lab, t) => {
  await lab.machine({ profiles: profile('replace') });
  await lab.up('ppp0');
  await lab.ip('link del ppp0');
  await lab.says(/nothing leaves until it returns$/);
  await lab.run('mv', `${lab.directory}/state`, `${lab.directory}/away`);
  await lab.write('state', 'not a directory');
  await lab.connect('ppp0');
  t.match((await lab.hook('ip-up', 'ppp0')).stderr, /^ppp-routed: error STATE /);
  await t.rejects(lab.deviceTo(world), 'nothing leaves in clear');
  t.equal(await lab.deviceTo('203.0.113.5'), 'eth0', 'but to the server');
  await lab.run('rm', `${lab.directory}/state`);
  await lab.run('mv', `${lab.directory}/away`, `${lab.directory}/state`);
  await lab.until(async () => (await lab.deviceTo(world).catch(() => '')) === 'ppp0', 15_000);
  await lab.ip('link del ppp0');
  await t.rejects(lab.deviceTo(world));
  await lab.ask('restore');
  await lab.restored();
});

for (const { mode, routes, commands = [] } of [
  { mode: 'metric', routes: base.replace(' metric 100', '') },
  // One that cannot be given back as it was is not displaced.
  {
    mode: 'replace',
    routes: base.replace(' metric 100', ''),
    commands: ['route append unreachable default'],
  },
]) {
  scenario(
    `on-loss = "block", "${mode}", beside a default with the metric of ours: a warning says so`,
    async lab => {
      await lab.machine({ profiles: profile(mode), routes });
      for (const command of commands) await lab.ip(command);
      await lab.up('ppp0');
      const warning =
        /^warn: default via 192\.168\.1\.1 dev eth0 .* has as good a metric as our default over ppp0: when that link is lost, traffic leaves by it until/;
      await lab.says(warning);
      await lab.ip('link del ppp0');
      await lab.says(/nothing leaves until it returns$/);
      await lab.until(() =>
        lab.deviceTo(world).then(
          () => false,
          () => true,
        ),
      );
      await lab.ask('restore');
    },
  );
}

scenario('on-loss = "block" beside a default with a metric: nothing to warn of', async (lab, t) => {
  await lab.machine({ profiles: profile('metric') });
  await lab.up('ppp0');
  t.same(
    lab.log().filter(line => line.startsWith('warn: ')),
    [],
  );
});

scenario('on-loss = "block" with IPv6', async (lab, t) => {
  await lab.machine({
    addresses: ['192.168.1.10/24 dev eth0', '2001:db8:1::2/64 dev eth0'],
    routes6: `
      2001:db8:1::/64 dev eth0 proto kernel metric 256 pref medium
      default via fe80::1 dev eth0 proto static metric 1024 pref medium
    `,
    profiles: `${profile('replace')}ipv6 = "route"\n`,
  });
  await lab.connect('ppp0');
  await lab.connect6('ppp0');
  await lab.fine(lab.hook('ip-up', 'ppp0'));
  await lab.fine(lab.hook('ipv6-up', 'ppp0', ends6));
  t.equal(await lab.deviceTo('2001:db8:9::1'), 'ppp0');
  await lab.ip('link del ppp0');
  await t.rejects(lab.deviceTo('2001:db8:9::1'), 'at once');
  await lab.says(/nothing leaves until it returns/);
  await t.rejects(lab.deviceTo('2001:db8:9::1'), 'when the daemon has looked');
  await t.rejects(lab.deviceTo(world));
  await lab.ask('restore');
  await lab.restored();
});

scenario('ppp-routectl restore while the link is up', async (lab, t) => {
  await lab.machine();
  await lab.connect('ppp0');
  const before = await lab.table();
  await lab.fine(lab.hook('ip-up', 'ppp0'));
  await lab.ask('restore');
  t.equal(await lab.table(), before, 'the uplink has its default');
  t.match((await lab.status()).status, /ppp0 up, released by the administrator/);
  await lab.fine(lab.hook('ip-up', 'ppp0'));
  await lab.shows(onLink, 'until it comes up anew');
  await lab.down('ppp0');
  await lab.restored();
});

scenario('a link is renamed while it is up', async (lab, t) => {
  await lab.machine();
  await lab.up('ppp0');
  await lab.ip('link set ppp0 down');
  await lab.ip('link set ppp0 name office');
  await lab.ip('link set office up');
  await lab.comesToPrint('route show default', 'default dev office proto 173 scope link', 1000);
  t.equal((await lab.state()).savedDefaults.length, 1);
  await lab.ip('link set office down');
  await lab.fine(lab.hook('ip-down', 'office'));
  await lab.ip('link del office');
  await lab.restored();
});
