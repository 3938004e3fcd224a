// Row 18: every mode of default-route, whatever happens to the link and the daemon; and moves from mode to mode.
import { ends6, type Lab, onLink, scenario } from './lab.ts';

const machine = {
  addresses: ['192.168.1.10/24 dev eth0', '2001:db8:1::2/64 dev eth0'],
  routes6: `
    2001:db8:1::/64 dev eth0 proto kernel metric 256 pref medium
    default via fe80::1 dev eth0 proto static metric 1024 pref medium
  `,
};
const withoutLink = {
  main: `
    default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100
    10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
  `,
  main6: `
    2001:db8:1::/64 dev eth0 proto kernel metric 256 pref medium
    fe80::8:1 dev ppp0 proto kernel metric 256 pref medium
    fe80::8:2 dev ppp0 proto kernel metric 256 pref medium
    default via fe80::1 dev eth0 proto static metric 1024 pref medium
  `,
};

const plainRules = `
  0: from all lookup local
  32766: from all lookup main
  32767: from all lookup default
`;
const plainRules6 = `
  0: from all lookup local
  32766: from all lookup main
`;

interface WhileUp {
  main: string;
  main6: string;
  /** Of both families, if it is not the kernel's own three. */
  rules?: { inet: string; inet6: string };
  own?: { inet: string; inet6: string };
  /** Where the rest of the world is. */
  world: 'ppp0' | 'eth0';
}

const modes: Record<string, WhileUp> = {
  replace: {
    main: onLink,
    main6: `
      2001:db8:1::/64 dev eth0 proto kernel metric 256 pref medium
      fe80::8:1 dev ppp0 proto kernel metric 256 pref medium
      fe80::8:2 dev ppp0 proto kernel metric 256 pref medium
      default dev ppp0 proto 173 metric 1 pref medium
    `,
    world: 'ppp0',
  },
  metric: {
    main: `
      default dev ppp0 proto 173 scope link
      default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100
      10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
      192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
      203.0.113.5 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
    `,
    main6: `
      2001:db8:1::/64 dev eth0 proto kernel metric 256 pref medium
      fe80::8:1 dev ppp0 proto kernel metric 256 pref medium
      fe80::8:2 dev ppp0 proto kernel metric 256 pref medium
      default dev ppp0 proto 173 metric 1 pref medium
      default via fe80::1 dev eth0 proto static metric 1024 pref medium
    `,
    world: 'ppp0',
  },
  half: {
    main: `
      0.0.0.0/1 dev ppp0 proto 173 scope link
      default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100
      10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
      128.0.0.0/1 dev ppp0 proto 173 scope link
      192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
      203.0.113.5 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
    `,
    main6: `
      2001:db8:1::/64 dev eth0 proto kernel metric 256 pref medium
      2000::/3 dev ppp0 proto 173 metric 1 pref medium
      fe80::8:1 dev ppp0 proto kernel metric 256 pref medium
      fe80::8:2 dev ppp0 proto kernel metric 256 pref medium
      default via fe80::1 dev eth0 proto static metric 1024 pref medium
    `,
    world: 'ppp0',
  },
  table: {
    main: withoutLink.main,
    main6: withoutLink.main6,
    rules: {
      inet: `
        0: from all lookup local
        17300: from all to 203.0.113.5 lookup main proto 173
        17310: from all lookup main suppress_prefixlength 0 proto 173
        17320: from all lookup 17300 proto 173
        32766: from all lookup main
        32767: from all lookup default
      `,
      inet6: `
        0: from all lookup local
        17310: from all lookup main suppress_prefixlength 0 proto 173
        17320: from all lookup 17300 proto 173
        32766: from all lookup main
      `,
    },
    own: {
      inet: 'default dev ppp0 proto 173 scope link',
      inet6: 'default dev ppp0 proto 173 metric 1 pref medium',
    },
    world: 'ppp0',
  },
  none: { main: withoutLink.main, main6: withoutLink.main6, world: 'eth0' },
};

const profile = (mode: string) => `
  [link.work]
  default-route = "${mode}"
  server = "203.0.113.5"
  ipv6 = "route"
`;

type Holds = (within?: number) => Promise<void>;

const fates: Record<string, (lab: Lab, holds: Holds) => Promise<void>> = {
  down,
  'pppd is killed': async lab => {
    await lab.ip('link del ppp0');
    await lab.restored(1000);
  },
  'the daemon is killed; started; down': async (lab, holds) => {
    await lab.stopDaemon('SIGKILL');
    await holds();
    await lab.startDaemon();
    await holds();
    await down(lab);
  },
  'the daemon is killed; the link goes; started': async lab => {
    await lab.stopDaemon('SIGKILL');
    await lab.ip('link del ppp0');
    await lab.startDaemon();
  },
  'all that is ours is flushed; down': async (lab, holds) => {
    await lab.ip('-4 route flush table all proto 173');
    await lab.ip('-6 route flush table all proto 173');
    await holds(1000);
    await down(lab);
  },
};

for (const [mode, whileUp] of Object.entries(modes)) {
  scenario(`18. default-route = "${mode}"`, async (lab, t) => {
    await lab.machine({ ...machine, profiles: profile(mode) });
    const holds: Holds = async (within = 0) => {
      const rules = whileUp.rules ?? { inet: plainRules, inet6: plainRules6 };
      await lab.comesToPrint('route', whileUp.main, within);
      await lab.comesToPrint('-6 route', whileUp.main6, within);
      await lab.comesToPrint('rule', rules.inet, within);
      await lab.comesToPrint('-6 rule', rules.inet6, within);
      if (whileUp.own !== undefined) {
        await lab.comesToPrint('route show table 17300', whileUp.own.inet, within);
        await lab.comesToPrint('-6 route show table 17300', whileUp.own.inet6, within);
      }
      t.equal(await lab.deviceTo('198.51.100.7'), whileUp.world);
      t.equal(await lab.deviceTo('2001:db8:9::1'), whileUp.world);
      t.equal(await lab.deviceTo('203.0.113.5'), 'eth0', 'the tunnel does not loop');
      t.equal(await lab.deviceTo('192.168.1.77'), 'eth0', 'the LAN stays');
    };
    for (const [fate, befalls] of Object.entries(fates)) {
      t.comment(`up; ${fate}`);
      await up(lab);
      await holds();
      await befalls(lab, holds);
      await lab.restored();
    }
  });
}

scenario('18. a mode is changed in the file while the link is up', async (lab, t) => {
  await lab.machine({ ...machine, profiles: profile('replace') });
  await up(lab);
  for (const mode of [
    'metric',
    'replace',
    'half',
    'table',
    'none',
    'replace',
    'table',
    'half',
    'metric',
    'none',
  ]) {
    await lab.configure(profile(mode));
    const { main, main6, world } = modes[mode] ?? { main: '', main6: '', world: '' };
    await lab.shows(main, mode);
    await lab.shows6(main6, mode);
    t.equal(await lab.deviceTo('198.51.100.7'), world, mode);
    t.equal((await lab.state()).savedDefaults.length, mode === 'replace' ? 2 : 0, `${mode}: what is saved`);
  }
  await down(lab);
  await lab.restored();
});

scenario('18. the profile is taken out of the file while the link is up, and put back', async lab => {
  await lab.machine();
  await lab.up('ppp0');
  await lab.configure('');
  await lab.shows(withoutLink.main);
  await lab.configure(profile('replace'));
  await lab.shows(onLink);
  await lab.down('ppp0');
  await lab.restored();
});

scenario('18. networks behind the link, and networks that stay on the uplink', async (lab, t) => {
  await lab.machine({
    profiles: `
      [link.work]
      default-route = "replace"
      server = "203.0.113.5"
      networks = ["193.6.37.0/24"]
      exclude = ["10.0.0.0/8", "198.51.100.64/26"]
      [link.site]
      default-route = "none"
      networks = ["172.20.0.0/16", "203.0.113.0/24"]
      server = "203.0.113.9"
    `,
  });
  await lab.up('ppp0');
  await lab.shows(`
    default dev ppp0 proto 173 scope link
    10.0.0.0/8 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
    10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
    193.6.37.0/24 dev ppp0 proto 173 scope link
    198.51.100.64/26 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
    203.0.113.5 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
  `);
  await lab.down('ppp0');
  await lab.restored();

  await lab.up('ppp1', { ipparam: 'site' });
  await lab.shows(`
    default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100
    10.99.1.1 dev ppp1 proto kernel scope link src 10.99.1.2
    172.20.0.0/16 dev ppp1 proto 173 scope link
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
    203.0.113.0/24 dev ppp1 proto 173 scope link
    203.0.113.9 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
  `);
  t.equal(await lab.deviceTo('198.51.100.7'), 'eth0');
  await lab.down('ppp1', { ipparam: 'site' });
  await lab.restored();
});

scenario("a PPP line as a backup: our default at a metric worse than the uplink's", async (lab, t) => {
  const profiles = '[link.work]\ndefault-route = "metric"\nmetric = 700\nserver = "none"\n';
  await lab.machine({ profiles });
  await lab.up('ppp0');
  await lab.shows(`
    default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100
    default dev ppp0 proto 173 scope link metric 700
    10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
  `);
  t.equal(await lab.deviceTo('198.51.100.7'), 'eth0', 'the uplink is used');
  t.equal((await lab.status()).status, 'work: ppp0 up, default via ppp0 at metric 700');
  await lab.ip('route del default via 192.168.1.1 dev eth0 metric 100');
  t.equal(await lab.deviceTo('198.51.100.7'), 'ppp0', 'the backup is used');
  await lab.ip('route add default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100');
  t.equal(await lab.deviceTo('198.51.100.7'), 'eth0', 'the uplink is back');
  await lab.down('ppp0');
  await lab.restored();
});

scenario(
  'a backup that must not leak: what leads nowhere stands behind it, at its metric when it is lost',
  async (lab, t) => {
    const profiles =
      '[link.work]\ndefault-route = "metric"\nmetric = 700\nserver = "none"\non-loss = "block"\n';
    await lab.machine({ profiles });
    await lab.up('ppp0');
    await lab.comesToShow(`
    default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100
    default dev ppp0 proto 173 scope link metric 700
    unreachable default proto 173 metric 701
    10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
  `);
    await lab.ip('link del ppp0');
    await lab.comesToShow(`
    default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100
    unreachable default proto 173 metric 700
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
  `);
    t.equal(await lab.deviceTo('198.51.100.7'), 'eth0', 'a backup stops nothing that it did not carry');
  },
);

/** The link with both families. */
async function up(lab: Lab): Promise<void> {
  await lab.connect('ppp0');
  await lab.connect6('ppp0');
  await lab.fine(lab.hook('ip-up', 'ppp0'));
  await lab.fine(lab.hook('ipv6-up', 'ppp0', ends6));
}

async function down(lab: Lab): Promise<void> {
  await lab.ip('link set ppp0 down');
  await lab.fine(lab.hook('ipv6-down', 'ppp0', ends6));
  await lab.fine(lab.hook('ip-down', 'ppp0'));
  await lab.ip('link del ppp0');
}
