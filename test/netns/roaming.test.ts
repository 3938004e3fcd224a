// Uplinks that move while a link is up: leases, better uplinks, suspend and resume, a PPP link under another, a manager that
// fights. What uplink.test.ts has of rows 10 to 12 is not here again.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { base, ends6, type Lab, linkAlone, onLink, replaceProfile, scenario } from './lab.ts';

const twoCards = {
  addresses: ['192.168.1.10/24 dev eth0', '172.16.0.10/24 dev wlan0'],
  routes: `
    default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100
    172.16.0.0/24 dev wlan0 proto kernel scope link src 172.16.0.10
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
  `,
};

scenario('a lease is renewed with another gateway: the pin follows', async lab => {
  await lab.machine();
  await lab.up('ppp0');
  await lab.ip('route add default via 192.168.1.254 dev eth0 proto dhcp src 192.168.1.10 metric 100');
  await lab.comesToShow(onLink.replace('192.168.1.1 dev', '192.168.1.254 dev'));
  await lab.down('ppp0');
  await lab.shows(base.replace('192.168.1.1 dev', '192.168.1.254 dev'));
});

scenario('a better uplink appears: the pin moves to it, and both are there at the end', async lab => {
  await lab.machine(twoCards);
  await lab.up('ppp0');
  await lab.ip('route add default via 172.16.0.1 dev wlan0 proto dhcp src 172.16.0.10 metric 50');
  await lab.comesToShow(`
    default dev ppp0 proto 173 scope link
    10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
    172.16.0.0/24 dev wlan0 proto kernel scope link src 172.16.0.10
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
    203.0.113.5 via 172.16.0.1 dev wlan0 proto 173 src 172.16.0.10
  `);
  await lab.down('ppp0');
  await lab.shows(`
    default via 172.16.0.1 dev wlan0 proto dhcp src 172.16.0.10 metric 50
    ${twoCards.routes}
  `);
});

scenario('a worse uplink appears: the pin stays, and both are there at the end', async lab => {
  await lab.machine(twoCards);
  await lab.up('ppp0');
  await lab.ip('route add default via 172.16.0.1 dev wlan0 proto dhcp src 172.16.0.10 metric 600');
  await lab.comesToShow(`
    default dev ppp0 proto 173 scope link
    10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
    172.16.0.0/24 dev wlan0 proto kernel scope link src 172.16.0.10
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
    203.0.113.5 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
  `);
  await lab.down('ppp0');
  await lab.shows(
    twoCards.routes.replace(
      'metric 100\n',
      'metric 100\n    default via 172.16.0.1 dev wlan0 proto dhcp src 172.16.0.10 metric 600\n',
    ),
  );
});

const onWifi = `
  default dev ppp0 proto 173 scope link
  10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
  172.16.0.0/24 dev wlan0 proto kernel scope link src 172.16.0.10
  203.0.113.5 via 172.16.0.1 dev wlan0 proto 173
`;
const wifi = 'default via 172.16.0.1 dev wlan0 proto dhcp metric 600';

/** It follows without a trouble that stays, and no later look fails anew. */
async function followed(lab: Lab, t: Test): Promise<void> {
  await lab.until(async () => !(await lab.status()).degraded).catch(() => undefined);
  t.match(await lab.status(), { degraded: false });
  const failures = () => lab.log().filter(line => line.startsWith('warn: failed'));
  const before = failures();
  await lab.plug('eth9');
  await lab.addAddress('10.9.0.1/24 dev eth9');
  await lab.fine(lab.hook('ip-up', 'ppp0'));
  t.same([...new Set(before)], before, 'the kernel was asked for nothing twice');
  t.same(failures(), before, 'and is not asked again');
  await lab.ip('link del eth9');
}

const withoutSource = [
  'via 192.168.1.1 dev eth0 proto static metric 100',
  'via 10.255.255.1 dev eth0 onlink',
];

for (const way of [...withoutSource, 'dev eth0 scope link metric 50']) {
  scenario(`the addresses of \`default ${way}\` go, its card stays up: the pin follows`, async (lab, t) => {
    await lab.machine({
      ...twoCards,
      routes: twoCards.routes.replace(/default .*/, `default ${way}`),
    });
    await lab.up('ppp0');
    await lab.ip('address flush dev eth0');
    await lab.ip(`route add ${wifi}`);
    await lab.comesToShow(onWifi);
    await followed(lab, t);
    await lab.down('ppp0');
    await onlyDefault(lab, wifi);
    t.same((await lab.state()).savedDefaults, []);
  });
}

scenario('a card is renumbered, and its default has another metric then', async (lab, t) => {
  await lab.machine({ routes: base.replace(/default .*/, 'default via 192.168.1.1 dev eth0') });
  await lab.up('ppp0');
  await lab.ip('address flush dev eth0');
  await lab.addAddress('10.5.0.10/24 dev eth0');
  await lab.ip('route add default via 10.5.0.1 dev eth0 proto dhcp src 10.5.0.10 metric 30');
  await lab.comesToShow(`
    default dev ppp0 proto 173 scope link
    10.5.0.0/24 dev eth0 proto kernel scope link src 10.5.0.10
    10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
    203.0.113.5 via 10.5.0.1 dev eth0 proto 173 src 10.5.0.10
  `);
  await followed(lab, t);
  await lab.down('ppp0');
  await onlyDefault(lab, 'default via 10.5.0.1 dev eth0 proto dhcp src 10.5.0.10 metric 30');
});

scenario('two defaults of one metric: the address of the one that has the pin goes', async (lab, t) => {
  await lab.machine({
    ...twoCards,
    routes: twoCards.routes.replace(
      /default .*/,
      'default via 192.168.1.1 dev eth0 metric 100\ndefault via 172.16.0.1 dev wlan0 metric 100',
    ),
  });
  await lab.up('ppp0');
  t.equal(await lab.deviceTo('203.0.113.5'), 'eth0');
  await lab.ip('address flush dev eth0');
  await lab.comesToShow(onWifi);
  await followed(lab, t);
  await lab.down('ppp0');
  await onlyDefault(lab, 'default via 172.16.0.1 dev wlan0 metric 100');
});

scenario('a card without an address has the default: that it has none is nothing new', async (lab, t) => {
  await lab.plug('eth1');
  await lab.machine({
    ...twoCards,
    routes: `default dev eth1 scope link metric 10\n${twoCards.routes}`,
  });
  await lab.up('ppp0');
  await lab.ip('route add default via 172.16.0.1 dev wlan0 metric 600');
  await lab.until(async () => (await lab.state()).savedDefaults.length === 3);
  await lab.fine(lab.hook('ip-up', 'ppp0'));
  t.equal(await lab.deviceTo('203.0.113.5'), 'eth1');
  await lab.down('ppp0');
  await lab.ip('route del default via 172.16.0.1 dev wlan0 metric 600');
  await lab.restored();
});

const nexthopEnds: Record<string, string> = {
  'its card goes down': 'link set eth0 down',
  'its card goes': 'link del eth0',
  'its cable is pulled': 'link set far-eth0 down',
  'it is deleted': 'nexthop del id 77',
};

for (const [what, command] of Object.entries(nexthopEnds)) {
  scenario(`the default uses a nexthop object, and ${what}: the pin follows`, async (lab, t) => {
    await lab.machine({ ...twoCards, routes: twoCards.routes.replace(/default .*/, '') });
    await lab.ip('nexthop add id 77 via 192.168.1.1 dev eth0');
    await lab.ip('route add default nhid 77 metric 30');
    await lab.up('ppp0');
    t.equal(await lab.deviceTo('203.0.113.5'), 'eth0');
    await lab.ip(command);
    await lab.ip(`route add ${wifi}`);
    await lab.until(async () => (await lab.deviceTo('203.0.113.5')) === 'wlan0').catch(() => undefined);
    t.equal(await lab.deviceTo('203.0.113.5'), 'wlan0');
    t.equal(await lab.deviceTo('198.51.100.7'), 'ppp0');
    await followed(lab, t);
    await lab.down('ppp0');
    await onlyDefault(lab, wifi);
  });

  scenario(`the same of IPv6, and ${what}`, async (lab, t) => {
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
    await lab.ip('-6 nexthop add id 77 via fe80::1 dev eth0');
    await lab.ip('-6 route add default nhid 77 metric 100');
    await lab.connect('ppp0');
    await lab.connect6('ppp0');
    await lab.fine(lab.hook('ip-up', 'ppp0'));
    await lab.fine(lab.hook('ipv6-up', 'ppp0', ends6));
    t.equal(await lab.deviceTo('2001:db8:ffff::5'), 'eth0');
    await lab.ip(command);
    await lab.ip('-6 route add default via fe80::1 dev wlan0 proto static metric 600');
    await lab.until(async () => (await lab.deviceTo('2001:db8:ffff::5')) === 'wlan0').catch(() => undefined);
    t.equal(await lab.deviceTo('2001:db8:ffff::5'), 'wlan0');
    t.equal(await lab.deviceTo('2001:4860::8888'), 'ppp0');
    await followed(lab, t);
    await lab.fine(lab.hook('ipv6-down', 'ppp0', ends6));
    await lab.comesToPrint(
      '-6 route show default',
      'default via fe80::1 dev wlan0 proto static metric 600 pref medium',
      1000,
    );
  });
}

const noMetric = base.replace(' proto dhcp src 192.168.1.10 metric 100', '');
const lateUplinks: Record<string, { device: string; arrives(lab: Lab): Promise<void> }> = {
  'a card that DHCP gives the same metric': {
    device: 'wlan0',
    arrives: async lab => {
      await lab.plug('wlan0');
      await lab.addAddress('172.16.0.10/24 dev wlan0');
      await lab.ip('route append default via 172.16.0.1 dev wlan0');
    },
  },
  'a PPP line with pppd’s `defaultroute`': {
    device: 'ppp1',
    arrives: async lab => {
      await lab.connect('ppp1');
      await lab.ip('route append default dev ppp1');
      await lab.fine(lab.hook('ip-up', 'ppp1', { ipparam: 'backup' }));
    },
  },
};

for (const [what, { device, arrives }] of Object.entries(lateUplinks)) {
  scenario(`at the metric of the displaced default comes ${what}, and goes again`, async (lab, t) => {
    await lab.machine({ routes: noMetric });
    await lab.up('ppp0');
    await arrives(lab);
    await lab.until(async () => (await lab.deviceTo('203.0.113.5')) === device);
    await lab.ip(`link del ${device}`);
    await lab.until(async () => (await lab.deviceTo('203.0.113.5')) === 'eth0').catch(() => undefined);
    t.equal(
      await lab.deviceTo('203.0.113.5'),
      'eth0',
      'the pin is back on the card that was fine all the time',
    );
    await lab.down('ppp0');
    await lab.restored(1000);
  });

  scenario(`at the metric of the displaced default comes ${what}, and stays`, async lab => {
    await lab.machine({ routes: noMetric });
    await lab.up('ppp0');
    await arrives(lab);
    await lab.until(async () => (await lab.deviceTo('203.0.113.5')) === device);
    await lab.down('ppp0');
    await onlyDefault(
      lab,
      `default ${device === 'ppp1' ? '' : 'via 172.16.0.1 '}dev ${device}${device === 'ppp1' ? ' scope link' : ''}`,
    );
  });
}

// The wall clock jumps at a resume; there is none in a decision, and timers run by the monotonic clock.
scenario(
  'suspend and resume: every device goes down and comes up, the lease is taken anew',
  async (lab, t) => {
    await lab.machine();
    await lab.up('ppp0');
    for (const device of ['ppp0', 'eth0']) await lab.ip(`link set ${device} down`);
    await lab.comesToShow('');
    for (const device of ['eth0', 'ppp0']) await lab.ip(`link set ${device} up`);
    // As DHCP clients do: between the two the old default may be back, as the last resort.
    await lab.ip('route replace default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100');
    await lab.comesToShow(onLink);
    t.equal((await lab.state()).savedDefaults.length, 1, 'the default is saved once');
    await lab.down('ppp0');
    await lab.restored();
  },
);

scenario('suspend and resume without the link: pppd ends it at the resume', async lab => {
  await lab.machine();
  await lab.up('ppp0');
  await lab.ip('link set eth0 down');
  await lab.ip('link set ppp0 down');
  await lab.comesToShow('');
  await lab.ip('link set eth0 up');
  await onlyDefault(lab, 'default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100');
  await lab.ip('route replace default via 192.168.1.254 dev eth0 proto dhcp src 192.168.1.10 metric 100');
  await lab.fine(lab.hook('ip-down', 'ppp0'));
  await lab.ip('link del ppp0');
  await lab.comesToShow(base.replace('192.168.1.1 dev', '192.168.1.254 dev'));
});

scenario('no default when the link comes up, one arrives later', async (lab, t) => {
  await lab.machine({ routes: '192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10' });
  await lab.up('ppp0');
  await lab.shows(`
    default dev ppp0 proto 173 scope link
    10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
  `);
  t.match(await lab.status(), { troubles: [/^no uplink leads to 203\.0\.113\.5/] });
  await lab.ip('route add default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100');
  await lab.comesToShow(onLink);
  t.match(await lab.status(), { degraded: false });
  await lab.down('ppp0');
  await lab.shows(base);
});

/** A PPPoE line that pppd gave the default itself, and a tunnel over it. */
const overPppoe = `
  default dev ppp1 proto 173 scope link
  10.99.1.1 dev ppp1 proto kernel scope link src 10.99.1.2
  100.64.0.1 dev ppp0 proto kernel scope link src 100.64.0.2
  192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
  203.0.113.5 dev ppp0 proto 173 scope link
`;
const pppoe = { ipparam: 'dsl', local: '100.64.0.2', remote: '100.64.0.1' };

async function dial(lab: Lab): Promise<void> {
  await lab.up('ppp0', pppoe);
  // `defaultroute` and `defaultroute-metric 10`: at one metric with another default pppd adds none.
  await lab.ip('route add default dev ppp0 metric 10');
}

scenario('a PPP link is the uplink of another', async (lab, t) => {
  await lab.machine({ routes: '192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10' });
  await dial(lab);
  const before = await lab.lines();
  await lab.up('ppp1');
  await lab.shows(overPppoe);
  t.equal(await lab.deviceTo('203.0.113.5'), 'ppp0', 'the tunnel goes over the line');
  await lab.down('ppp1');
  t.same(await lab.lines(), before);

  await lab.up('ppp1');
  await lab.ip('link del ppp0');
  await lab.comesToShow(`
    default dev ppp1 proto 173 scope link
    10.99.1.1 dev ppp1 proto kernel scope link src 10.99.1.2
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
  `);
  await lab.says(/^warn: no uplink leads to 203\.0\.113\.5: it is pinned when one appears$/);
  await dial(lab);
  await lab.comesToShow(overPppoe);
  t.match(await lab.status(), { degraded: false });
  await lab.down('ppp1');
  t.same(await lab.lines(), before, 'the line that is there now has the default');
  await lab.ip('link del ppp0');
  await lab.restored();
});

const overLine = `${replaceProfile}\n[link.dsl]\nnetworks = ["10.55.0.0/16"]\n`;

scenario('a profile matches the PPP uplink by mistake, and the configuration is mended', async (lab, t) => {
  await lab.machine({ routes: '192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10' });
  await dial(lab);
  const before = await lab.table();
  const isSaved = async (because: string) =>
    t.match(await lab.state(), { savedDefaults: [{ route: /^default dev ppp0 .*metric 10$/ }] }, because);
  await lab.up('ppp1');
  await lab.configure(overLine);
  await lab.says(
    /^warn: the saved default dev ppp0 .* leads through a link that a profile matches: it is kept/,
  );
  await isSaved('while the profile matches');
  t.equal(
    (await lab.lines()).filter(line => / dev ppp0 .*proto 173/.test(line)).length,
    1,
    'the network alone',
  );
  await lab.configure(replaceProfile);
  await lab.comesToShow(overPppoe);
  await isSaved('and when it is mended');
  t.match(await lab.status(), { degraded: false });

  await lab.configure(overLine);
  await lab.down('ppp1');
  await lab.shows(`
    10.55.0.0/16 dev ppp0 proto 173 scope link
    100.64.0.1 dev ppp0 proto kernel scope link src 100.64.0.2
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
  `);
  await isSaved('after the last down');
  await lab.stopDaemon('SIGKILL');
  await lab.startDaemon();
  await isSaved('after a restart');
  await lab.configure(replaceProfile);
  await lab.until(async () => (await lab.table()) === before).catch(() => undefined);
  t.equal(await lab.table(), before);
  t.same((await lab.state()).savedDefaults, []);
});

scenario(
  'the PPP uplink goes while a profile matches it: its default is only the last resort',
  async (lab, t) => {
    await lab.machine();
    await lab.ip('route del default');
    await dial(lab);
    await lab.up('ppp1');
    await lab.configure(overLine);
    await lab.down('ppp0', pppoe);
    await lab.ip('route add default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100');
    await lab.down('ppp1');
    await lab.restored(1000);
    t.same((await lab.state()).savedDefaults, []);
  },
);

scenario('a manager that flushes our routes for three seconds is healed, but not chased', async (lab, t) => {
  await lab.machine();
  await lab.up('ppp0');
  const heals = () => lab.log().filter(line => /^adding the default over the link/.test(line)).length - 1;
  // What systemd-networkd does at a restart where ManageForeignRoutes= is on.
  const fight = performance.now() + 3000;
  let flushes = 0;
  for (; performance.now() < fight; await sleep(5)) {
    const [first = ''] = await lab.lines('route show default');
    if (!first.includes('proto 173')) continue;
    await lab.ip('route flush proto 173');
    flushes++;
  }
  await lab.comesToShow(onLink, 1000);
  // The route is there before its line in the journal.
  await lab.until(() => heals() >= flushes).catch(() => undefined);
  t.ok(heals() >= flushes, `${flushes} times flushed, ${heals()} heals in the journal: each is told`);
  t.ok(heals() >= 2 && heals() <= 10, `${heals()} heals in three seconds`);
  await lab.down('ppp0');
  await lab.restored();
});

/** Before long that is the only default. */
async function onlyDefault(lab: Lab, line: string): Promise<void> {
  await lab.comesToPrint('route show default', line, 1000);
}

const byName = replaceProfile.replace('203.0.113.5', 'vpn.example');

/** The machine's own /etc/hosts, for nobody else to see. */
async function hosts(lab: Lab, address: string): Promise<void> {
  await lab.write('hosts', `${address} vpn.example\n`);
}

scenario(
  'the uplink moves: the server’s name is looked up anew, and its new address is pinned',
  async (lab, t) => {
    await hosts(lab, '203.0.113.5');
    await lab.run('mount', '--bind', `${lab.directory}/hosts`, '/etc/hosts');
    await lab.machine({ ...twoCards, profiles: byName });
    await lab.up('ppp0');
    t.equal(await lab.deviceTo('203.0.113.5'), 'eth0');
    await hosts(lab, '203.0.113.77');
    await lab.ip('link set eth0 down');
    await lab.ip('route add default via 172.16.0.1 dev wlan0 proto dhcp src 172.16.0.10 metric 600');
    await lab.comesToShow(
      `
    default dev ppp0 proto 173 scope link
    10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
    172.16.0.0/24 dev wlan0 proto kernel scope link src 172.16.0.10
    203.0.113.77 via 172.16.0.1 dev wlan0 proto 173 src 172.16.0.10
  `,
      2000,
    );
    t.match(await lab.state(), { links: [{ servers: ['203.0.113.77'] }] });
    await lab.down('ppp0');
    await lab.shows(`
    default via 172.16.0.1 dev wlan0 proto dhcp src 172.16.0.10 metric 600
    172.16.0.0/24 dev wlan0 proto kernel scope link src 172.16.0.10
  `);
  },
);

scenario(
  'a name that no longer resolves where the uplink moved to: the address of before stays pinned',
  async (lab, t) => {
    await hosts(lab, '203.0.113.5');
    await lab.run('mount', '--bind', `${lab.directory}/hosts`, '/etc/hosts');
    await lab.machine({ profiles: byName });
    await lab.up('ppp0');
    await lab.write('hosts', '127.0.0.1 localhost\n');
    await lab.ip('route add default via 192.168.1.254 dev eth0 proto dhcp src 192.168.1.10 metric 100');
    await lab.says(/no address for the server vpn\.example/);
    await lab.comesToShow(onLink.replace('192.168.1.1 dev', '192.168.1.254 dev'));
    t.equal(await lab.deviceTo('198.51.100.7'), 'ppp0', 'nothing leaks meanwhile');
    await lab.down('ppp0');
    await lab.shows(base.replace('192.168.1.1 dev', '192.168.1.254 dev'));
  },
);

scenario('the uplink’s device is renamed while the link is up', async (lab, t) => {
  await lab.machine();
  await lab.up('ppp0');
  await lab.ip('link set eth0 down');
  await lab.ip('link set eth0 name lan0');
  await lab.ip('link set lan0 up');
  await lab.ip('route add default via 192.168.1.1 dev lan0 proto dhcp src 192.168.1.10 metric 100');
  await lab.comesToShow(onLink.replaceAll('eth0', 'lan0'));
  t.equal(await lab.deviceTo('203.0.113.5'), 'lan0');
  await lab.down('ppp0');
  await lab.shows(base.replaceAll('eth0', 'lan0'));
});

scenario('the daemon starts while the link is up, and then the link is another of that name', async lab => {
  await lab.machine();
  await lab.up('ppp0');
  await lab.stopDaemon('SIGKILL');
  await lab.startDaemon();
  for (let time = 1; time <= 2; time++) {
    await lab.ip('link del ppp0');
    await lab.up('ppp0');
    await lab.shows(onLink);
  }
  await lab.ip('link del eth0');
  await lab.plug('eth0');
  await lab.addAddress('192.168.1.10/24 dev eth0');
  await lab.ip('route add default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100');
  await lab.comesToShow(onLink);
  await lab.down('ppp0');
  await lab.shows(base);
});

scenario('nothing of this while the link is left alone', async lab => {
  await lab.machine({ profiles: '' });
  await lab.up('ppp0');
  await lab.ip('route replace default via 192.168.1.254 dev eth0 proto dhcp src 192.168.1.10 metric 100');
  await lab.shows(linkAlone.replace('192.168.1.1 dev', '192.168.1.254 dev'));
});
