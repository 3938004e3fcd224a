// ipv6 = "route", "block" and "leave", whatever the order in which pppd tells of the two families. Row 13's own scenarios are in
// uplink.test.ts, every mode is in modes.test.ts.
import { ends6, type Lab, onLink, scenario } from './lab.ts';

const machine = {
  addresses: ['192.168.1.10/24 dev eth0', '2001:db8:1::2/64 dev eth0'],
  routes6: `
    2001:db8:1::/64 dev eth0 proto kernel metric 256 pref medium
    default via fe80::1 dev eth0 proto static metric 1024 mtu 1400 pref high
  `,
};
const linkAlone6 = `
  2001:db8:1::/64 dev eth0 proto kernel metric 256 pref medium
  fe80::8:1 dev ppp0 proto kernel metric 256 pref medium
  fe80::8:2 dev ppp0 proto kernel metric 256 pref medium
  default via fe80::1 dev eth0 proto static metric 1024 mtu 1400 pref high
`;
const onLink6 = `
  2001:db8:1::/64 dev eth0 proto kernel metric 256 pref medium
  fe80::8:1 dev ppp0 proto kernel metric 256 pref medium
  fe80::8:2 dev ppp0 proto kernel metric 256 pref medium
  default dev ppp0 proto 173 metric 1 pref medium
`;
const alone = `
  default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100
  10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
  192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
`;

const profile = (ipv6: string, mode = 'replace') => `
  [link.work]
  default-route = "${mode}"
  server = "203.0.113.5"
  ipv6 = "${ipv6}"
`;

const world6 = '2001:4860::8888';
const leak = /IPv6 does not go over ppp0 but past it, through eth0/;

scenario('ipv6 = "route": each family comes and goes by its own events, in any order', async (lab, t) => {
  await lab.machine({ ...machine, profiles: profile('route') });
  await connect(lab);
  const hook6 = (event: 'ipv6-up' | 'ipv6-down') => lab.fine(lab.hook(event, 'ppp0', ends6));
  const hook4 = (event: 'ip-up' | 'ip-down') => lab.fine(lab.hook(event, 'ppp0'));
  const before = await lab.table();

  await hook6('ipv6-up');
  await lab.shows(alone, 'ipv6-up alone');
  await lab.shows6(onLink6, 'ipv6-up alone');
  await hook4('ip-up');
  await lab.shows(onLink, 'ipv6-up, ip-up');
  await lab.shows6(onLink6, 'ipv6-up, ip-up');
  await hook6('ipv6-down');
  await lab.shows(onLink, 'ipv6-down alone leaves IPv4');
  await lab.shows6(linkAlone6, 'ipv6-down alone');
  await hook6('ipv6-up');
  await lab.shows6(onLink6, 'ip-up, ipv6-up');
  await hook4('ip-down');
  await lab.shows(alone, 'ip-down alone');
  await lab.shows6(onLink6, 'ip-down alone leaves IPv6');
  await hook6('ipv6-down');
  t.equal(await lab.table(), before, 'byte for byte as before');
  t.same((await lab.state()).links, []);

  await hook4('ip-up');
  await hook6('ipv6-up');
  await hook6('ipv6-down');
  await hook4('ip-down');
  t.equal(await lab.table(), before, 'byte for byte as before, in the order of most machines');
});

scenario('ipv6 = "route": an advertised default stays, ours wins, in every mode', async (lab, t) => {
  await lab.machine({ ...machine, routes6: '', profiles: profile('route') });
  await connect(lab);
  await lab.ip('-6 route add default via fe80::1 dev eth0 proto ra metric 1024 expires 600');
  for (const mode of ['replace', 'metric', 'half', 'table']) {
    await lab.configure(profile('route', mode));
    await lab.fine(lab.hook('ip-up', 'ppp0'));
    await lab.fine(lab.hook('ipv6-up', 'ppp0', ends6));
    t.equal(await lab.deviceTo(world6), 'ppp0', mode);
    t.equal(await lab.deviceTo('2001:db8:1::99'), 'eth0', `${mode}: the LAN is reached`);
    const advertised = (await lab.lines('-6 route')).filter(line => line.includes('proto ra'));
    t.match(advertised, [/^default via fe80::1 dev eth0 proto ra metric 1024 expires \d+sec/], mode);
    const saved = (await lab.state()).savedDefaults.filter(({ family }) => family === 'inet6');
    t.same(saved, [], `${mode}: nothing of IPv6 is saved`);
    t.match(await lab.status(), { degraded: false });
    await lab.fine(lab.hook('ipv6-down', 'ppp0', ends6));
    await lab.fine(lab.hook('ip-down', 'ppp0'));
    t.equal(await lab.deviceTo(world6), 'eth0', `${mode}: down`);
  }
});

scenario('ipv6 = "route": a router advertises a default of the metric that is saved', async (lab, t) => {
  await lab.machine({ ...machine, profiles: profile('route') });
  await connect(lab);
  await lab.fine(lab.hook('ipv6-up', 'ppp0', ends6));
  // The kernel never makes one route of several paths of a router's and another; of this one `ip` does not either.
  await lab.ip('-6 route add default dev eth0 proto ra metric 1024 expires 600');
  await lab.fine(lab.hook('ipv6-down', 'ppp0', ends6));
  const defaults = await lab.ip('-6 route show default');
  t.match(defaults, /^default via fe80::1 dev eth0 proto static /m, 'the saved one is back');
  t.match(defaults, /^default dev eth0 proto ra /m, 'and the advertised one is there');
  t.same((await lab.state()).savedDefaults, []);
});

scenario(
  'ipv6 = "leave": the leak is told when it begins, once, and anew when it begins anew',
  async (lab, t) => {
    await lab.machine({ ...machine, profiles: profile('leave') });
    await connect(lab);
    const told = () => lab.log().filter(line => leak.test(line)).length;
    await lab.fine(lab.hook('ip-up', 'ppp0'));
    await lab.fine(lab.hook('ip-up', 'ppp0'));
    await lab.fine(lab.hook('ipv6-up', 'ppp0', ends6));
    await lab.ip('route flush proto 173');
    await lab.comesToShow(onLink);
    await lab.shows6(linkAlone6, 'IPv6 is left alone');
    t.equal(told(), 1, 'once while it holds');
    t.match(await lab.status(), { degraded: false, warnings: [leak] });

    await lab.configure(profile('route'));
    await lab.shows6(onLink6);
    t.match(await lab.status(), { warnings: [] });
    await lab.configure(profile('leave'));
    await lab.shows6(linkAlone6);
    t.equal(told(), 2, 'and anew');
    await lab.fine(lab.hook('ip-down', 'ppp0'));
    await lab.fine(lab.hook('ipv6-down', 'ppp0', ends6));
    await lab.ip('link del ppp0');
    await lab.restored();
  },
);

scenario('ipv6 = "leave": no word where there is no IPv6 to leak', async (lab, t) => {
  await lab.machine({ profiles: profile('leave') });
  await lab.up('ppp0');
  t.match(await lab.status(), { warnings: [] });
  await lab.down('ppp0');
  await lab.restored();
});

scenario('ipv6 = "block": blocked from ip-up to ip-down, whatever ipv6-up says', async (lab, t) => {
  await lab.machine({ ...machine, profiles: profile('block') });
  await connect(lab);
  const before = await lab.table();
  await lab.fine(lab.hook('ip-up', 'ppp0'));
  const blocked = `
    2001:db8:1::/64 dev eth0 proto kernel metric 256 pref medium
    unreachable 2000::/3 dev lo proto 173 metric 1 pref medium
    fe80::8:1 dev ppp0 proto kernel metric 256 pref medium
    fe80::8:2 dev ppp0 proto kernel metric 256 pref medium
    default via fe80::1 dev eth0 proto static metric 1024 mtu 1400 pref high
  `;
  await lab.shows6(blocked);
  await lab.fine(lab.hook('ipv6-up', 'ppp0', ends6));
  await lab.shows6(blocked);
  await t.rejects(lab.deviceTo(world6));
  t.equal(lab.log().filter(line => leak.test(line)).length, 0, 'nothing leaks, nothing is told');
  await lab.fine(lab.hook('ipv6-down', 'ppp0', ends6));
  await lab.shows6(blocked, 'ipv6-down alone');
  await lab.fine(lab.hook('ip-down', 'ppp0'));
  t.equal(await lab.table(), before, 'byte for byte as before');
});

scenario('ipv6 = "route": one family of a link that is to stay dark ends alone', async (lab, t) => {
  await lab.machine({ ...machine, profiles: `${profile('route')}on-loss = "block"\n` });
  await connect(lab);
  await lab.fine(lab.hook('ip-up', 'ppp0'));
  await lab.fine(lab.hook('ipv6-up', 'ppp0', ends6));
  await lab.fine(lab.hook('ipv6-down', 'ppp0', ends6));
  await t.rejects(lab.deviceTo(world6), 'IPv6 does not leave by the uplink');
  t.equal(await lab.deviceTo('198.51.100.7'), 'ppp0', 'IPv4 goes on');
  await lab.until(async () =>
    (await lab.status()).status.includes('ppp0 is lost, IPv6 traffic stops until it returns'),
  );
  await lab.fine(lab.hook('ipv6-up', 'ppp0', ends6));
  t.equal(await lab.deviceTo(world6), 'ppp0');
  await lab.fine(lab.hook('ip-down', 'ppp0'));
  await t.rejects(lab.deviceTo('198.51.100.7'), 'the other way round');
  t.equal(await lab.deviceTo(world6), 'ppp0');
  await lab.fine(lab.hook('ipv6-down', 'ppp0', ends6));
  t.equal((await lab.state()).links.length, 1, 'one loss');
  await lab.ip('link del ppp0');
  await lab.ask('restore');
  await lab.restored();
});

for (const mode of ['replace', 'metric']) {
  scenario(`ipv6 = "route", ${mode}: the uplink has the place of our default`, async (lab, t) => {
    const uplink = 'default via fe80::1 dev eth0 proto static metric 1';
    await lab.machine({ ...machine, routes6: '', profiles: profile('route', mode) });
    await lab.ip(`-6 route add ${uplink}`);
    await connect(lab);
    await lab.fine(lab.hook('ip-up', 'ppp0'));
    const { stderr } = await lab.hook('ipv6-up', 'ppp0', ends6);
    t.match(stderr, /error ROUTE ip -6 route add ::\/0 dev ppp0 proto 173 metric 1: File exists/);
    t.match(await lab.status(), { degraded: true, troubles: [/File exists/] });
    t.equal(await lab.deviceTo(world6), 'eth0', 'IPv6 has a way out');
    t.equal(await lab.deviceTo('198.51.100.7'), 'ppp0', 'IPv4 goes on');
    t.equal(lab.log().filter(line => /File exists/.test(line) && /failed adding/.test(line)).length, 1);
    t.equal(
      lab.log().filter(line => /(?<!failed )adding .*::\/0/.test(line)).length,
      0,
      'nothing is told as done',
    );

    await lab.ip(`-6 route del ${uplink}`);
    await lab.until(async () => !(await lab.status()).degraded, 7000);
    t.equal(await lab.deviceTo(world6), 'ppp0', 'and it goes over the link when the place is free');
  });
}

scenario('one link routes IPv6 where another blocks it: the second is said not to be', async (lab, t) => {
  const other = '[link.other]\ndefault-route = "none"\nipv6 = "block"\n';
  await lab.machine({ ...machine, profiles: `${profile('route', 'half')}${other}` });
  await connect(lab);
  await lab.fine(lab.hook('ip-up', 'ppp0'));
  await lab.fine(lab.hook('ipv6-up', 'ppp0', ends6));
  await lab.connect('ppp1', { ipparam: 'other' });
  const { stderr } = await lab.hook('ip-up', 'ppp1', { ipparam: 'other' });
  t.match(stderr, /unreachable 2000::\/3 .*: File exists/);
  t.match(await lab.status(), { degraded: true });
  t.equal(lab.log().filter(line => line.includes('unreachable 2000::/3')).length, 1, 'once');
});

/** The interface as pppd makes it, with addresses of both families; no hook yet. */
async function connect(lab: Lab): Promise<void> {
  await lab.connect('ppp0');
  await lab.connect6('ppp0');
}
