// What an uplink's default can be, and what can become of it while a link is up. Rows 2 and 10 to 13.
import { base, ends6, type Lab, onLink, scenario } from './lab.ts';

const twoCards = {
  addresses: ['192.168.1.10/24 dev eth0', '172.16.0.10/24 dev wlan0'],
  routes: `
    default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100
    172.16.0.0/24 dev wlan0 proto kernel scope link src 172.16.0.10
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
  `,
};

/** Defaults as `ip route` prints them. Each is displaced and comes back byte for byte, with its neighbours. */
const restorable: Record<string, { commands?: string[]; defaults: string[] }> = {
  'no more than a gateway': { defaults: ['default via 192.168.1.1 dev eth0'] },
  'no gateway': { defaults: ['default dev eth0 scope link metric 20'] },
  'a lease': { defaults: ['default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100'] },
  'a metric of 32 bits': { defaults: ['default via 192.168.1.1 dev eth0 metric 4294967295'] },
  'a protocol without a name': { defaults: ['default via 192.168.1.1 dev eth0 proto 211 metric 100'] },
  'a foreign scope': { defaults: ['default via 192.168.1.1 dev eth0 proto static scope site metric 100'] },
  'a locked mtu': { defaults: ['default via 192.168.1.1 dev eth0 mtu lock 1400'] },
  'an mtu that is not locked': { defaults: ['default via 192.168.1.1 dev eth0 metric 9 mtu 1400'] },
  'TCP’s figures': {
    defaults: [
      'default via 192.168.1.1 dev eth0 window 65535 rtt 300ms rttvar 75ms ssthresh 20 cwnd lock 30 advmss 1360 reordering 7 initcwnd 20 initrwnd 21 quickack 1',
    ],
  },
  'hoplimit and features': { defaults: ['default via 192.168.1.1 dev eth0 hoplimit 33 features ecn'] },
  'congestion control': { defaults: ['default via 192.168.1.1 dev eth0 congctl bbr'] },
  'locked congestion control': { defaults: ['default via 192.168.1.1 dev eth0 congctl lock bbr'] },
  realm: { defaults: ['default via 192.168.1.1 dev eth0 realm 10'] },
  'both realms': { defaults: ['default via 192.168.1.1 dev eth0 realms 3/10'] },
  'a gateway outside every subnet': { defaults: ['default via 10.255.255.1 dev eth0 onlink'] },
  'a gateway of IPv6': { defaults: ['default via inet6 fe80::1 dev eth0 metric 50'] },
  'type of service beside none': {
    defaults: ['default tos 0x10 via 192.168.1.2 dev eth0', 'default via 192.168.1.1 dev eth0'],
  },
  'two of one metric': {
    defaults: [
      'default via 192.168.1.7 dev eth0 metric 100',
      'default via 192.168.1.1 dev eth0 metric 100',
      'default via 192.168.1.4 dev eth0 metric 100',
    ],
  },
  'several paths with weights': {
    defaults: [
      'default proto static metric 5',
      'nexthop via 192.168.1.1 dev eth0 weight 3',
      'nexthop via 172.16.0.1 dev wlan0 weight 1',
    ],
  },
  'several paths, onlink and mtu': {
    defaults: [
      'default mtu lock 1400',
      'nexthop via 10.255.255.1 dev eth0 weight 1 onlink',
      'nexthop via 172.16.0.1 dev wlan0 weight 2',
    ],
  },
  'a nexthop object': {
    commands: ['nexthop add id 7 via 192.168.1.1 dev eth0', 'route add default nhid 7 proto static metric 5'],
    defaults: ['default nhid 7 via 192.168.1.1 dev eth0 proto static metric 5'],
  },
  'a group of nexthop objects': {
    commands: [
      'nexthop add id 8 via 192.168.1.1 dev eth0',
      'nexthop add id 9 via 172.16.0.1 dev wlan0',
      'nexthop add id 10 group 8,3/9',
      'route add default nhid 10 metric 5',
    ],
    defaults: [
      'default nhid 10 metric 5',
      'nexthop via 192.168.1.1 dev eth0 weight 3',
      'nexthop via 172.16.0.1 dev wlan0 weight 1',
    ],
  },
  'a dark default behind a live one': {
    defaults: ['default via 192.168.1.1 dev eth0 proto dhcp metric 100', 'unreachable default metric 4000'],
  },
  'everything at once': {
    defaults: [
      'default tos 0x08 via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 77 mtu lock 1400 window 4096 advmss 1360 initcwnd 20 quickack 1 congctl bbr',
    ],
  },
};

scenario('2. every attribute of a default comes back byte for byte', async (lab, t) => {
  await lab.machine({ ...twoCards, routes: withoutDefault(twoCards.routes) });
  await lab.connect('ppp0');
  for (const [what, { commands = [], defaults }] of Object.entries(restorable)) {
    const rest = await lab.lines();
    for (const command of commands) await lab.ip(command);
    if (commands.length === 0) await lab.addRoutes(defaults.join('\n'));
    await lab.shows([...defaults, ...rest].join('\n'), `${what}: there`);
    const before = await lab.table();
    const log = lab.log().length;

    const { stderr } = await lab.hook('ip-up', 'ppp0');
    t.equal(stderr, '', what);
    const defaultsWhileUp = (await lab.lines('route show default')).filter(line =>
      line.startsWith('default'),
    );
    t.same(defaultsWhileUp, ['default dev ppp0 proto 173 scope link'], `${what}: displaced`);
    await lab.fine(lab.hook('ip-down', 'ppp0'));
    t.equal(await lab.table(), before, `${what}: byte for byte as before`);
    const moved = defaults.filter(line => line.startsWith('default')).length;
    const verbs = [
      ...['ip-up', 'adding', 'adding', ...Array(moved).fill('deleting')],
      ...['ip-down', ...Array(moved).fill('restoring'), 'deleting', 'deleting'],
    ];
    t.same(
      (await lab.journal(log, verbs.length)).map(line => line.replace(/[ :].*/, '')),
      verbs,
      `${what}: and nothing is done twice`,
    );

    await lab.ip('nexthop flush');
    await lab.ip('route flush exact default');
  }
});

const restorable6: Record<string, string[]> = {
  'no more than a gateway': ['default via fe80::1 dev eth0 metric 1024 pref medium'],
  'preference, mtu and hoplimit': [
    'default via fe80::1 dev eth0 proto static metric 512 mtu 1400 hoplimit 33 pref high',
  ],
  'a preferred source': ['default via fe80::1 dev eth0 src 2001:db8:1::2 metric 1024 pref medium'],
  'no gateway': ['default dev eth0 metric 700 pref medium'],
  'two metrics': [
    'default via fe80::1 dev eth0 proto dhcp metric 100 pref medium',
    'default via fe80::1 dev wlan0 proto dhcp metric 600 pref medium',
  ],
  'several paths with weights': [
    'default proto static metric 1024 pref medium',
    'nexthop via fe80::1 dev eth0 weight 3',
    'nexthop via fe80::1 dev wlan0 weight 1',
  ],
  'onlink, congestion control': [
    'default via 2001:db8:ffff::1 dev eth0 metric 1024 onlink congctl bbr pref low',
  ],
};

scenario('2. every attribute of an IPv6 default comes back byte for byte', async (lab, t) => {
  await lab.machine({
    ...twoCards,
    addresses: [...twoCards.addresses, '2001:db8:1::2/64 dev eth0', '2001:db8:2::2/64 dev wlan0'],
    profiles: `
      [link.work]
      default-route = "replace"
      server = "2001:db8:ffff::5"
      ipv6 = "route"
    `,
  });
  await lab.plug('ppp0');
  await lab.connect6('ppp0');
  for (const [what, defaults] of Object.entries(restorable6)) {
    await lab.addRoutes(defaults.join('\n'), '-6');
    const before = await lab.table();
    t.same(
      (await lab.lines('-6 route')).slice(-defaults.length).sort(),
      [...defaults].sort(),
      `${what}: there`,
    );
    const { stderr } = await lab.hook('ipv6-up', 'ppp0', ends6);
    t.equal(stderr, '', what);
    t.same(
      await lab.lines('-6 route show default'),
      ['default dev ppp0 proto 173 metric 1 pref medium'],
      what,
    );
    await lab.fine(lab.hook('ipv6-down', 'ppp0', ends6));
    t.equal(await lab.table(), before, `${what}: byte for byte as before`);
    await lab.ip('-6 route flush exact default');
  }
});

const unrestorable: Record<string, { line: string; why: RegExp }> = {
  'a tunnel of its own': {
    line: 'default encap ip id 3 dst 10.1.1.1 via 192.168.1.1 dev eth0',
    why: /keeping .*`encap` cannot be given back/,
  },
  'a shortest retransmission time': {
    line: 'default via 192.168.1.1 dev eth0 rto_min 50ms',
    why: /keeping .*`rto_min` cannot be given back/,
  },
};

scenario('2. what cannot be restored exactly is not displaced', async (lab, t) => {
  await lab.machine({ routes: withoutDefault(base) });
  await lab.connect('ppp0');
  for (const [what, { line, why }] of Object.entries(unrestorable)) {
    await lab.ip(`route add ${line}`);
    const before = await lab.table();
    const [there = ''] = await lab.lines('route show default');
    await lab.fine(lab.hook('ip-up', 'ppp0'));
    t.same(await lab.lines('route show default'), ['default dev ppp0 proto 173 scope link', there], what);
    t.equal(await lab.deviceTo('198.51.100.7'), 'ppp0', `${what}: ours is asked first`);
    t.match((await lab.status()).status, why, `${what}: the status says why`);
    t.same((await lab.state()).savedDefaults, [], `${what}: nothing is saved`);
    await lab.fine(lab.hook('ip-down', 'ppp0'));
    t.equal(await lab.table(), before, `${what}: byte for byte as before`);
    await lab.ip('route del default');
  }
});

scenario('2. the pin cannot be set: nothing is moved', async (lab, t) => {
  await lab.machine({
    addresses: ['192.168.1.10/24 dev eth0', '192.168.7.20/24 dev eth0'],
    routes: `
      default via 192.168.7.1 dev eth0
      192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
      192.168.7.0/24 dev eth0 proto kernel scope link src 192.168.7.20
    `,
  });
  // The kernel keeps the default, but takes no new route over its gateway any more, not even the default itself.
  await lab.ip('address del 192.168.7.20/24 dev eth0');
  await lab.connect('ppp0');
  const before = await lab.table();
  const { stderr } = await lab.hook('ip-up', 'ppp0');
  t.match(stderr, /^ppp-routed: error ROUTE ip route prepend 203\.0\.113\.5 .*: Nexthop has invalid gateway/);
  t.equal(await lab.table(), before, 'no route changes');
  t.equal((await lab.status()).degraded, true);
  await lab.fine(lab.hook('ip-down', 'ppp0'));
  t.equal(await lab.table(), before);
});

scenario(
  '2. an IPv6 default that expires, and one that a router advertised, are not displaced',
  async (lab, t) => {
    await lab.machine({
      addresses: ['192.168.1.10/24 dev eth0', '2001:db8:1::2/64 dev eth0'],
      profiles: `
      [link.work]
      default-route = "replace"
      server = "none"
      ipv6 = "route"
    `,
    });
    await lab.plug('ppp0');
    await lab.connect6('ppp0');
    for (const { proto, says } of [
      { proto: 'ra', says: /^work: ppp0 up, IPv6 default via ppp0$/ },
      { proto: 'static', says: /keeping default via fe80::1 .*expires/ },
    ]) {
      const before = await lab.table();
      await lab.ip(`-6 route add default via fe80::1 dev eth0 proto ${proto} metric 1024 expires 300`);
      await lab.fine(lab.hook('ipv6-up', 'ppp0', ends6));
      const defaults = await lab.lines('-6 route show default');
      t.equal(defaults[0], 'default dev ppp0 proto 173 metric 1 pref medium', 'ours at a better metric');
      t.match(
        defaults[1],
        /^default via fe80::1 dev eth0 proto (ra|static) metric 1024 expires \d+sec pref medium$/,
      );
      t.equal(await lab.deviceTo('2001:db8:9::1'), 'ppp0');
      t.match((await lab.status()).status, says, 'of what is not as asked the status says why');
      t.same((await lab.state()).savedDefaults, [], 'nothing is saved');
      await lab.fine(lab.hook('ipv6-down', 'ppp0', ends6));
      await lab.ip('-6 route del default');
      t.equal(await lab.table(), before);
    }
  },
);

/** While the link is up a DHCP client does this; the last default is the one that is there at the end. */
const renewals: Record<string, { does: string; atTheEnd: string }> = {
  'the same lease': {
    does: 'route replace default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100',
    atTheEnd: 'default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100',
  },
  'another gateway': {
    does: 'route replace default via 192.168.1.254 dev eth0 proto dhcp src 192.168.1.10 metric 100',
    atTheEnd: 'default via 192.168.1.254 dev eth0 proto dhcp src 192.168.1.10 metric 100',
  },
  'another metric': {
    does: 'route add default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 1024',
    atTheEnd: 'default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 1024',
  },
  'no metric, which replaces ours': {
    does: 'route replace default via 192.168.1.1 dev eth0 proto dhcp',
    atTheEnd: 'default via 192.168.1.1 dev eth0 proto dhcp',
  },
  'no metric, in front of ours': {
    does: 'route prepend default via 192.168.1.1 dev eth0 proto dhcp',
    atTheEnd: 'default via 192.168.1.1 dev eth0 proto dhcp',
  },
};

for (const [what, { does, atTheEnd }] of Object.entries(renewals)) {
  scenario(`10. the DHCP client adds the default anew, ${what}; down`, async (lab, t) => {
    await lab.machine();
    await lab.up('ppp0');
    await lab.ip(does);
    await onlyDefault(lab, 'default dev ppp0 proto 173 scope link');
    t.equal(await lab.deviceTo('198.51.100.7'), 'ppp0', 'the link wins');
    t.equal(await lab.deviceTo('203.0.113.5'), 'eth0', 'but not to the server');
    await lab.down('ppp0');
    await lab.shows(`
      ${atTheEnd}
      192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
    `);
  });
}

scenario('10. a lease that ended while the link was up does not come back', async lab => {
  await lab.machine();
  await lab.up('ppp0');
  // A client that gives its address back takes away the routes that it knows of.
  await lab.ip('address del 192.168.1.10/24 dev eth0');
  await lab.ip('address add 192.168.7.20/24 dev eth0');
  await lab.ip('route add default via 192.168.7.1 dev eth0 proto dhcp src 192.168.7.20 metric 100');
  await onlyDefault(lab, 'default dev ppp0 proto 173 scope link');
  await lab.comesToShow(`
    default dev ppp0 proto 173 scope link
    10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
    192.168.7.0/24 dev eth0 proto kernel scope link src 192.168.7.20
    203.0.113.5 via 192.168.7.1 dev eth0 proto 173 src 192.168.7.20
  `);
  await lab.down('ppp0');
  await lab.shows(`
    default via 192.168.7.1 dev eth0 proto dhcp src 192.168.7.20 metric 100
    192.168.7.0/24 dev eth0 proto kernel scope link src 192.168.7.20
  `);
});

scenario('11. the uplink moves to wlan0 via 172.16.0.1; down', async (lab, t) => {
  await lab.machine(twoCards);
  await lab.up('ppp0');
  await lab.ip('link set eth0 down');
  await lab.ip('route add default via 172.16.0.1 dev wlan0 proto dhcp src 172.16.0.10 metric 600');
  await lab.comesToShow(`
    default dev ppp0 proto 173 scope link
    10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
    172.16.0.0/24 dev wlan0 proto kernel scope link src 172.16.0.10
    203.0.113.5 via 172.16.0.1 dev wlan0 proto 173 src 172.16.0.10
  `);
  t.equal(await lab.deviceTo('203.0.113.5'), 'wlan0');
  await lab.down('ppp0');
  await lab.shows(`
    default via 172.16.0.1 dev wlan0 proto dhcp src 172.16.0.10 metric 600
    172.16.0.0/24 dev wlan0 proto kernel scope link src 172.16.0.10
  `);
  await lab.says(/^notice: not bringing back default via 192\.168\.1\.1 dev eth0 /);
});

scenario('11. … and eth0 is plugged in again without a lease; down', async lab => {
  await lab.machine(twoCards);
  await lab.up('ppp0');
  await lab.ip('link set eth0 down');
  await lab.ip('route add default via 172.16.0.1 dev wlan0 proto dhcp src 172.16.0.10 metric 600');
  await onlyDefault(lab, 'default dev ppp0 proto 173 scope link');
  await lab.ip('link set eth0 up');
  await lab.down('ppp0');
  await lab.shows(`
    default via 172.16.0.1 dev wlan0 proto dhcp src 172.16.0.10 metric 600
    172.16.0.0/24 dev wlan0 proto kernel scope link src 172.16.0.10
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
  `);
});

scenario('11. … and back to eth0; down', async lab => {
  await lab.machine(twoCards);
  await lab.up('ppp0');
  await lab.ip('link set eth0 down');
  await lab.ip('route add default via 172.16.0.1 dev wlan0 proto dhcp src 172.16.0.10 metric 600');
  await onlyDefault(lab, 'default dev ppp0 proto 173 scope link');
  await lab.ip('link set eth0 up');
  await lab.ip('route add default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100');
  await lab.comesToShow(`
    default dev ppp0 proto 173 scope link
    10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
    172.16.0.0/24 dev wlan0 proto kernel scope link src 172.16.0.10
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
    203.0.113.5 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
  `);
  await lab.down('ppp0');
  await lab.shows(`
    default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100
    default via 172.16.0.1 dev wlan0 proto dhcp src 172.16.0.10 metric 600
    172.16.0.0/24 dev wlan0 proto kernel scope link src 172.16.0.10
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
  `);
});

scenario(
  '11. the uplink’s device goes down and up while the link is up, nobody adds its default; down',
  async lab => {
    await lab.machine();
    await lab.up('ppp0');
    await lab.ip('link set eth0 down');
    await lab.comesToShow(`
    default dev ppp0 proto 173 scope link
    10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
  `);
    await lab.says(/^warn: no uplink leads to 203\.0\.113\.5: it is pinned when one appears$/);
    await lab.ip('link set eth0 up');
    await lab.down('ppp0');
    await lab.shows(base, 'better the uplink of before than none');
  },
);

scenario('12. another manager flushes our routes while the link is up', async (lab, t) => {
  await lab.machine();
  await lab.up('ppp0');
  await lab.ip('route flush proto 173');
  await lab.comesToShow(onLink, 1000);
  const defaultsAdded = () => lab.log().filter(line => /^adding the default over the link/.test(line)).length;
  // ip flushes one route after the other, and again until none is left: some may be healed in between.
  await lab.until(() => defaultsAdded() > 1).catch(() => undefined);
  t.ok(defaultsAdded() > 1, 'the heal is logged');
  await lab.ip('route flush exact default');
  await lab.comesToShow(onLink, 1000);
  await lab.down('ppp0');
  await lab.restored();
});

scenario('12. … and again and again: healed, but not as often as flushed', async (lab, t) => {
  await lab.machine();
  await lab.up('ppp0');
  const isHealed = async () =>
    (await lab.lines('route show default')).join() === 'default dev ppp0 proto 173 scope link';
  for (let time = 1; time <= 80; time++) {
    await lab.ip('route flush proto 173');
    await lab.until(isHealed, 20).catch(() => undefined);
  }
  const heals = lab.log().filter(line => /^adding the default over the link/.test(line)).length - 1;
  t.ok(heals > 2 && heals < 20, `80 flushes, ${heals} heals`);
  await lab.comesToShow(onLink, 1000);
  await lab.down('ppp0');
  await lab.restored();
});

const overlay6 = {
  addresses: ['192.168.1.10/24 dev eth0', '2001:db8:1::2/64 dev eth0'],
  routes6: `
    2001:db8:1::/64 dev eth0 proto kernel metric 256 pref medium
    default via fe80::1 dev eth0 proto ra metric 1024 pref medium
  `,
};
const profile6 = (ipv6: string) => `
  [link.work]
  default-route = "replace"
  server = "203.0.113.5"
  ipv6 = "${ipv6}"
`;

scenario('13. an advertised IPv6 default, a link of IPv4 only, ipv6 = "block"', async (lab, t) => {
  await lab.machine({ ...overlay6, profiles: profile6('block') });
  await lab.up('ppp0');
  await lab.shows(onLink);
  await lab.shows6(`
    2001:db8:1::/64 dev eth0 proto kernel metric 256 pref medium
    unreachable 2000::/3 dev lo proto 173 metric 1 pref medium
    default via fe80::1 dev eth0 proto ra metric 1024 pref medium
  `);
  t.equal(await lab.deviceTo('2001:db8:1::99'), 'eth0', 'the LAN is reached');
  await t.rejects(lab.deviceTo('2001:4860::8888'), 'the rest of IPv6 is not');
  await lab.down('ppp0');
  await lab.restored();
});

scenario('13. an advertised IPv6 default, a link of IPv4 only, ipv6 = "leave"', async (lab, t) => {
  await lab.machine({ ...overlay6, profiles: profile6('leave') });
  await lab.up('ppp0');
  await lab.shows(onLink);
  await lab.shows6(overlay6.routes6);
  await lab.fine(lab.hook('ip-up', 'ppp0'));
  await lab.says(/^ip-up of ppp0: known already$/);
  const told = /IPv6 does not go over ppp0 but past it, through eth0/;
  t.equal(lab.log().filter(line => told.test(line)).length, 1, 'a warning, once');
  await lab.down('ppp0');
  await lab.restored();
});

function withoutDefault(routes: string): string {
  return routes
    .split('\n')
    .filter(line => !line.includes('default'))
    .join('\n');
}

/** That is the only default before long. */
async function onlyDefault(lab: Lab, line: string): Promise<void> {
  await lab.comesToPrint('route show default', line, 1000);
}
