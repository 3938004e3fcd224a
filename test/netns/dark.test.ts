// on-loss = "block" against a sender at full speed: however the link goes, and whoever is killed meanwhile, not one packet
// reaches the uplink's far end.
import type { Test } from 'tap';
import { ends6, type Lab, scenario } from './lab.ts';

const world = '198.51.100.7';
const world6 = '2001:db8:9::1';

/** The gateways have addresses on the wire, so that no packet waits for anybody. */
const machine = {
  addresses: ['192.168.1.10/24 dev eth0', '2001:db8:1::2/64 dev eth0'],
  commands: [
    'neighbour add 192.168.1.1 lladdr 02:00:00:00:00:01 nud permanent dev eth0',
    'neighbour add fe80::1 lladdr 02:00:00:00:00:01 nud permanent dev eth0',
  ],
  routes6: `
    2001:db8:1::/64 dev eth0 proto kernel metric 256 pref medium
    default via fe80::1 dev eth0 proto static metric 1024 pref medium
  `,
};

interface Wish {
  mode: string;
  ipv6: string;
  onLoss?: 'block' | 'restore';
}

const profile = ({ mode, ipv6, onLoss = 'block' }: Wish) => `
  [link.work]
  default-route = "${mode}"
  server = "203.0.113.5"
  ipv6 = "${ipv6}"
  on-loss = "${onLoss}"
`;

/** How a link goes, and how it returns. */
const fates: Record<string, { goes(lab: Lab): Promise<unknown>; returns(lab: Lab): Promise<unknown> }> = {
  'the interface vanishes': { goes: lab => lab.ip('link del ppp0'), returns: up },
  'the interface is set down': {
    goes: lab => lab.ip('link set ppp0 down'),
    returns: async lab => {
      await lab.ip('link set ppp0 up');
      await lab.addAddress(`${ends6.local} peer ${ends6.remote}/128 dev ppp0`);
    },
  },
  'pppd ends': { goes: down, returns: up },
  'the interface vanishes, and the next has its name before anybody has looked': {
    goes: async lab => {
      await lab.ip('link del ppp0');
      await lab.connect('ppp0');
      await lab.connect6('ppp0');
    },
    returns: async lab => {
      await lab.fine(lab.hook('ip-up', 'ppp0'));
      await lab.fine(lab.hook('ipv6-up', 'ppp0', ends6));
    },
  },
};

for (const mode of ['replace', 'metric', 'half', 'table']) {
  for (const [ipv6, losses] of Object.entries({ route: 20, block: 4 })) {
    scenario(`nothing leaks: ${mode}, ipv6 = "${ipv6}", ${losses} losses`, async (lab, t) => {
      await lab.machine({ ...machine, profiles: profile({ mode, ipv6 }) });
      await up(lab);
      const stopWatcher = await watch(lab);
      const stopSender = await send(lab);
      for (let time = 0; time < losses && t.passing(); time++) {
        const [name, { goes, returns }] = Object.entries(fates)[time % 4] ?? fail();
        await goes(lab);
        await isDark(t, lab, `${name}: at once`);
        await lab.until(async () => (await lab.status()).status.includes('traffic stops until it returns'));
        await isDark(t, lab, `${name}: when the daemon has looked`);
        if (time >= losses - 2) {
          await lab.stopDaemon('SIGKILL');
          await isDark(t, lab, `${name}: without a daemon`);
          await lab.startDaemon();
          await isDark(t, lab, `${name}: after a restart`);
        }
        await returns(lab);
        await lab.until(() => carries(lab, ipv6));
      }
      t.equal(await stopWatcher(), `${world}=0 ${world6}=0`, 'not one packet leaked');

      await down(lab);
      const sees = await watch(lab);
      await lab.ask('restore');
      await lab.restored();
      t.match(
        await stopSender(),
        /^\d+ ENETUNREACH=\d+|^\d+ .*EHOSTUNREACH=\d+/,
        'sends failed while it was dark',
      );
      t.notMatch(await sees(), /=0/, 'after the restoration the same packets are seen');
    });
  }
}

scenario(
  'nothing leaks; then the profile is edited to on-loss = "restore" while it is dark',
  async (lab, t) => {
    await lab.machine({ ...machine, profiles: profile({ mode: 'replace', ipv6: 'route' }) });
    for (const mode of ['replace', 'metric', 'half', 'table']) {
      await lab.configure(profile({ mode, ipv6: 'route' }));
      await up(lab);
      await lab.ip('link del ppp0');
      await lab.until(async () => (await lab.status()).status.includes('traffic stops until it returns'));
      await isDark(t, lab, mode);
      await lab.configure(profile({ mode, ipv6: 'route', onLoss: 'restore' }));
      await lab.restored(1000);
      t.match(await lab.status(), { status: 'no link is up', links: [], degraded: false });
    }
  },
);

scenario('the tables while it is up and while it is dark, ipv6 = "route"', async lab => {
  await lab.machine({ ...machine, profiles: profile({ mode: 'half', ipv6: 'route' }) });
  await up(lab);
  await lab.shows(`
    0.0.0.0/1 dev ppp0 proto 173 scope link
    unreachable 0.0.0.0/1 proto 173 metric 1
    default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100
    10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
    128.0.0.0/1 dev ppp0 proto 173 scope link
    unreachable 128.0.0.0/1 proto 173 metric 1
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
    203.0.113.5 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
  `);
  await lab.shows6(`
    2001:db8:1::/64 dev eth0 proto kernel metric 256 pref medium
    2000::/3 dev ppp0 proto 173 metric 1 pref medium
    unreachable 2000::/3 dev lo proto 173 metric 2 pref medium
    fe80::8:1 dev ppp0 proto kernel metric 256 pref medium
    fe80::8:2 dev ppp0 proto kernel metric 256 pref medium
    default via fe80::1 dev eth0 proto static metric 1024 pref medium
  `);
  await lab.ip('link del ppp0');
  await lab.comesToShow(`
    unreachable 0.0.0.0/1 proto 173
    default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100
    unreachable 128.0.0.0/1 proto 173
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
    203.0.113.5 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
  `);
  await lab.shows6(`
    2001:db8:1::/64 dev eth0 proto kernel metric 256 pref medium
    unreachable 2000::/3 dev lo proto 173 metric 1 pref medium
    default via fe80::1 dev eth0 proto static metric 1024 pref medium
  `);
  await up(lab);
  await down(lab);
  await lab.ask('restore');
  await lab.restored();
});

/** The link with both families. */
async function up(lab: Lab): Promise<void> {
  await lab.connect('ppp0');
  await lab.connect6('ppp0');
  await lab.ip('link set ppp0 arp off');
  await lab.fine(lab.hook('ip-up', 'ppp0'));
  await lab.fine(lab.hook('ipv6-up', 'ppp0', ends6));
}

async function down(lab: Lab): Promise<void> {
  await lab.ip('link set ppp0 down');
  await lab.fine(lab.hook('ipv6-down', 'ppp0', ends6));
  await lab.fine(lab.hook('ip-down', 'ppp0'));
  await lab.ip('link del ppp0');
}

async function isDark(t: Test, lab: Lab, because: string): Promise<void> {
  await t.rejects(lab.deviceTo(world), `${because}: nothing leaves`);
  await t.rejects(lab.deviceTo(world6), `${because}: nothing of IPv6 leaves`);
  t.equal(await lab.deviceTo('203.0.113.5'), 'eth0', `${because}: pppd can dial again`);
  t.equal(await lab.deviceTo('192.168.1.77'), 'eth0', `${because}: the LAN stays`);
}

/** Does traffic go over the link, as far as it may? */
async function carries(lab: Lab, ipv6: string): Promise<boolean> {
  const [dev, dev6] = await Promise.all(
    [world, world6].map(address => lab.deviceTo(address).catch(() => 'nowhere')),
  );
  return dev === 'ppp0' && dev6 === (ipv6 === 'route' ? 'ppp0' : 'nowhere');
}

/** What arrives at the far end of the uplink's cable. Returns how to stop, with the counts. */
async function watch(lab: Lab): Promise<() => Promise<string>> {
  const ifindex = (await lab.run('cat', '/sys/class/net/far-eth0/ifindex')).trim();
  return startPerl(lab, ['watcher.pl', ifindex, world, world6]);
}

/** Sends to the outside, in turn by IPv4 and IPv6. Returns how to stop, with the count and the errors. */
function send(lab: Lab): Promise<() => Promise<string>> {
  return startPerl(lab, ['sender.pl', world, world6]);
}

async function startPerl(lab: Lab, [script, ...words]: string[]): Promise<() => Promise<string>> {
  const started = lab.start(['perl', `${import.meta.dirname}/${script}`, ...words]);
  await new Promise((resolve, reject) => {
    started.stdout.once('data', resolve);
    void started.then(({ stderr, shortMessage }) => reject(new Error(`${shortMessage}: ${stderr}`)));
  });
  return async () => {
    started.stdin.end();
    return (
      String((await started).stdout)
        .split('\n')
        .at(-1) ?? ''
    );
  };
}

function fail(): never {
  throw new Error('there is no such fate');
}
