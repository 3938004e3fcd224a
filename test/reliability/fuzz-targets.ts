// Everything that reads bytes of others, and what must hold whatever it is given.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigurationError, loadConfiguration } from '../../src/configuration/configuration.ts';
import { decide } from '../../src/core/decide/decide.ts';
import { commandOf } from '../../src/core/decide/plan.ts';
import { takeEvent } from '../../src/core/link/change.ts';
import { decodeEvent, type LinkEvent } from '../../src/core/link/event.ts';
import { EventError } from '../../src/core/link/fields.ts';
import { type Profile, profileFor } from '../../src/core/link/profile.ts';
import { serversInPeerOptions, serversOfProcesses } from '../../src/core/link/server.ts';
import { emptyState, type State, savedRoute } from '../../src/core/link/state.ts';
import { decodeTransport } from '../../src/core/link/transport.ts';
import type { Observed } from '../../src/core/route/observed.ts';
import { parsePrefix } from '../../src/core/route/prefix.ts';
import { devicesOf, identityOf } from '../../src/core/route/route.ts';
import { parseRoute } from '../../src/core/route/route-line.ts';
import { isPlain } from '../../src/kernel/ip-batch.ts';
import { KernelCache } from '../../src/kernel/kernel-cache.ts';
import {
  parseAddress,
  parseForwarding,
  parseInterface,
  parseProxyNeighbour,
  parseRule,
} from '../../src/kernel/parse.ts';
import { StateDirectory } from '../../src/state/state-directory.ts';
import { whyNotMeant } from './ip-words.ts';

export interface Target {
  /** Good inputs, which are then changed. */
  samples: readonly string[];
  /** Takes an input; throws where a promise is broken. */
  take(input: Buffer): void | Promise<void>;
}

const bootId = '11111111-2222-3333-4444-555555555555';
const families = ['inet', 'inet6'] as const;

/** What `ip -o … show` prints on a machine with a link, an uplink of each family and another one. */
const printed = {
  links: [
    '1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN mode DEFAULT group default qlen 1000\\    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00',
    '2: eth0@if5: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP mode DEFAULT group default qlen 1000\\    link/ether 02:00:00:00:00:02 brd ff:ff:ff:ff:ff:ff link-netnsid 0',
    '3: wlan0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc fq state UP mode DORMANT group default qlen 1000\\    link/ether 02:00:00:00:00:03 brd ff:ff:ff:ff:ff:ff',
    '4: ppp0: <POINTOPOINT,MULTICAST,NOARP,UP,LOWER_UP> mtu 1400 qdisc fq state UNKNOWN mode DEFAULT group default qlen 3\\    link/ppp',
  ],
  addresses: [
    '1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever',
    '2: eth0    inet 192.168.1.10/24 brd 192.168.1.255 scope global dynamic eth0\\       valid_lft 3600sec preferred_lft 3600sec',
    '3: wlan0    inet 172.16.0.10/24 scope global wlan0\\       valid_lft forever preferred_lft forever',
    '4: ppp0    inet 10.99.0.2 peer 10.99.0.1/32 scope global ppp0\\       valid_lft forever preferred_lft forever',
    '2: eth0    inet6 2001:db8:1::2/64 scope global \\       valid_lft forever preferred_lft forever',
    '4: ppp0    inet6 fe80::8:2 peer fe80::8:1/128 scope link \\       valid_lft forever preferred_lft forever',
  ],
  inet: [
    'default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100 ',
    'default via 172.16.0.1 dev wlan0 metric 600 onlink mtu lock 1400 ',
    '10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2 ',
    '192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10 ',
    '203.0.113.5 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10 ',
  ],
  inet6: [
    'default via fe80::1 dev eth0 proto ra metric 100 expires 1700sec pref medium',
    'default via 2001:db8:1::1 dev eth0 metric 1024 pref high',
    '2001:db8:1::/64 dev eth0 proto kernel metric 256 pref medium',
    'unreachable 2000::/3 dev lo proto 173 metric 1 pref medium',
  ],
  rules: [
    '0:\tfrom all lookup local',
    '17300:\tfrom all to 203.0.113.5 lookup main proto 173',
    '17310:\tfrom all lookup main suppress_prefixlength 0 proto 173',
    '17320:\tfrom all lookup 17300 proto 173',
    '32766:\tfrom all lookup main',
    '100:\tnot from 10.0.0.0/8 iif eth0 fwmark 0x1/0xff ipproto tcp sport 80 uidrange 0-99 lookup 42 proto static',
  ],
  proxies: ['10.99.0.1 dev eth0 proxy proto 173', '10.99.0.9 dev eth0  proxy'],
  forwarding: [
    'inet eth0 forwarding on rp_filter off mc_forwarding off proxy_neigh off ',
    'inet all forwarding off ',
  ],
} as const;

const moreRoutes = [
  'default nhid 7 via 192.168.1.1 dev eth0 proto static metric 50 ',
  'default proto static metric 20 \\\tnexthop via 192.168.1.1 dev eth0 weight 1 \\\tnexthop via 172.16.0.1 dev wlan0 weight 2 onlink',
  'unreachable default metric 4278198272 ',
  'default via inet6 fe80::1 dev eth0 ',
  'default dev ppp0 proto 173 scope link ',
  'default via 10.0.0.1 dev eth0 linkdown dead advmss 1360 window 65535 rtt 100ms rto_min lock 50ms quickack 1 congctl bbr features ecn ',
  'blackhole 198.51.100.0/24 proto bird metric 32 ',
  '10.0.0.0/8 encap mpls 200 via 192.168.1.1 dev eth0 ',
  'default tos 0x10 via 192.168.1.1 dev eth0 table 17300 proto 173 ',
];

const monitored = [
  ...printed.links.map(line => `[LINK]${line}`),
  ...printed.addresses.map(line => `[ADDR]${line}`),
  ...[...printed.inet, ...printed.inet6, ...moreRoutes].map(line => `[ROUTE]${line}`),
  ...printed.rules.map(line => `[RULE]${line}`),
  '[LINK]Deleted 4: ppp0: <POINTOPOINT,MULTICAST,NOARP> mtu 1400 qdisc noop state DOWN group default \\    link/ppp',
  '[LINK]4: ppp7: <POINTOPOINT,NOARP,UP> mtu 1400 qdisc noop state DOWN group default \\    link/ppp',
  '[ADDR]Deleted 2: eth0    inet 192.168.1.10/24 scope global eth0\\       valid_lft forever preferred_lft forever',
  '[ROUTE]Deleted default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100 ',
  '[ROUTE]local 10.99.0.2 dev ppp0 table local proto kernel scope host src 10.99.0.2 ',
  '[NEXTHOP]id 7 via 192.168.1.1 dev eth0 scope link ',
  'netlink receive error No buffer space available (105)',
];

/** A profile for every mode, each with all that makes routes, rules and proxy neighbours. */
const profiles = (['replace', 'metric', 'half', 'table', 'none'] as const).map(
  (mode): Profile => ({
    name: mode,
    'default-route': mode,
    server: ['203.0.113.5', '2001:db8:ffff::5'],
    networks: ['193.6.37.0/24', '2001:db8:77::/48'],
    exclude: ['10.0.0.0/8', '198.18.0.0/15'],
    'proxy-arp': mode === 'none' ? 'eth0' : 'auto',
    ipv6: mode === 'half' ? 'block' : 'route',
    'on-loss': mode === 'table' ? 'block' : 'restore',
    priority: 0,
  }),
);
const servers = ['203.0.113.5', '2001:db8:ffff::5'];

const events = [
  `version=1\nevent=ip-up\nid=${bootId}\ninterface=ppp0\nifindex=4\ntty=/dev/pts/3\nspeed=115200\nlocal=10.99.0.2\nremote=10.99.0.1\nipparam=replace\npid=4711\ncall=work\nlinkname=office\npeername=vpn.example.com\ndns1=10.8.0.53\npeer-option=pty "pptp vpn.example.com --nolaunchpppd"\n\n`,
  'version=1\nevent=ip-down\ninterface=ppp0\nipparam=table\npid=4711\nunusable=peername\n\n',
  'version=2\nevent=ipv6-up\nnetns=4026531833\ninterface=ppp0\nifindex=4\nlocal=fe80::8:2\nremote=fe80::8:1\nipparam=half\n\n',
  'version=1\nevent=ipv6-down\ninterface=ppp0\nlocal=fe80::8:2\nremote=fe80::8:1\nipparam=none\nmanager=netifd\n\n',
];

/** As a hook spools it, and what it answers when it is asked. */
const spooledEvent = `${events[0]}netns=4026531833\n\n`;
const answers = [
  'peer-option=process pptp 203.0.113.5 --nolaunchpppd\npeer-option=pty "pptp vpn.example.com"\nunusable=peer-option\n\n',
  '\n',
];

const base: Observed = {
  interfaces: printed.links.flatMap(line => parseInterface(line) ?? []),
  addresses: printed.addresses.flatMap(line => parseAddress(line) ?? []),
  routes: families.flatMap(family => printed[family].flatMap(line => parseRoute(line, family) ?? [])),
  rules: printed.rules.flatMap(line => parseRule(line, 'inet') ?? []),
  proxyNeighbours: printed.proxies.flatMap(line => parseProxyNeighbour(line, 'inet') ?? []),
  forwarding: new Set(['eth0', 'ppp0']),
};

/** The machine as it is printed above, with what is added to it. */
function machine(more: Partial<Observed> = {}): Observed {
  return {
    ...base,
    interfaces: [...base.interfaces, ...(more.interfaces ?? [])],
    addresses: [...base.addresses, ...(more.addresses ?? [])],
    routes: [...base.routes, ...(more.routes ?? [])],
    rules: [...base.rules, ...(more.rules ?? [])],
    proxyNeighbours: [...base.proxyNeighbours, ...(more.proxyNeighbours ?? [])],
  };
}

/** Every command that comes of it is one that was meant: ip reads it as such, and of interfaces that are there. */
function assertMeant(state: State, observed: Observed): void {
  const devices = new Set([
    ...observed.interfaces.map(({ name }) => name),
    ...observed.routes.flatMap(devicesOf),
    ...observed.proxyNeighbours.map(({ dev }) => dev),
    ...state.links.map(link => link.interface),
    ...state.links.map(({ profile }) => profile?.['proxy-arp'] ?? ''),
    ...state.savedDefaults.flatMap(saved => devicesOf(savedRoute(saved) ?? ({ nexthops: [] } as never))),
  ]);
  for (const command of decide({ state, observed, refused: new Set() }).steps.map(commandOf)) {
    // ip never hears of the others.
    if (!isPlain(command)) continue;
    const why = whyNotMeant(command, devices);
    assert.equal(why, undefined, `${JSON.stringify(command)}: ${why}`);
  }
}

/** The link of an event on the machine, by each of the profiles, and gone again. */
function assertEventMeant(event: LinkEvent): void {
  const observed = machine();
  for (const profile of profiles) {
    const before = stateAfter(upOf(event), profile);
    assertMeant(stateAfter(event, profile, before), observed);
  }
}

/** The state after an event of a link that this profile is meant for, with its servers. */
function stateAfter(event: LinkEvent, profile: Profile, before: State = emptyState(bootId)): State {
  const meant = { ...profile, match: { interface: event.interface }, server: servers };
  const moment = { interfaces: machine().interfaces, profiles: [meant] };
  const { links } = takeEvent(event, { arrival: 9, canAsk: false })(before, moment);
  return { ...before, ...links };
}

function upOf(event: LinkEvent): LinkEvent {
  return { ...event, name: event.name.startsWith('ipv6') ? 'ipv6-up' : 'ip-up', ifindex: 4 };
}

/** A state with a link by each of the profiles, to see a machine with. */
const states = profiles.map((profile): State => {
  return stateAfter(decodeEvent(Buffer.from(events[0] ?? '')), profile);
});

function assertMachineMeant(more: Partial<Observed>): void {
  const observed = machine(more);
  for (const state of [emptyState(bootId), ...states]) assertMeant(state, observed);
}

const directory = mkdtempSync(join(tmpdir(), 'fuzz-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));

const savedState = JSON.stringify({
  ...states[0],
  savedDefaults: [
    { family: 'inet', route: 'default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100' },
    { family: 'inet', route: 'default via 172.16.0.1 dev wlan0 metric 600 onlink', lapsed: true },
    { family: 'inet6', route: 'default via fe80::1 dev eth0 metric 1024 pref high' },
  ],
});

const toml = `
[link.work]
match = { ipparam = "wor?", peername = "*.example.*", interface = "ppp[0-9]" }
default-route = "replace"
server = ["203.0.113.5", "2001:db8::5"]
networks = ["193.6.37.0/24", "2001:db8:77::/48"]
exclude = ["10.0.0.0/8"]
proxy-arp = "auto"
ipv6 = "route"
on-loss = "block"
priority = 10
[link."other"]
proxy-arp = "eth0"
`;

export const targets: Record<string, Target> = {
  wire: {
    samples: [...events, spooledEvent],
    take: input => {
      let event: LinkEvent;
      try {
        event = decodeEvent(input);
      } catch (error) {
        assert.ok(error instanceof EventError, String(error));
        // It goes into the journal and back to the hook.
        assert.doesNotMatch(error.message, /\p{Cc}/u);
        return;
      }
      for (const value of Object.values(event).flat()) assert.doesNotMatch(String(value), /\p{Cc}/u);
      assert.match(event.interface, /^[^-/\s"'#\\][^/\s"'#\\]{0,14}$/);
      assertEventMeant(event);
    },
  },
  transport: {
    samples: answers,
    take: input => {
      try {
        for (const option of decodeTransport(input)) assert.doesNotMatch(option, /\p{Cc}/u);
      } catch (error) {
        assert.ok(error instanceof EventError, String(error));
        assert.doesNotMatch(error.message, /\p{Cc}/u);
      }
    },
  },
  route: {
    samples: [...printed.inet, ...printed.inet6, ...moreRoutes],
    take: input => {
      for (const family of families) {
        const route = parseRoute(input.toString(), family);
        if (route === undefined) continue;
        const again = parseRoute(route.line, family);
        if (route.unrestorable === undefined) {
          assert.equal(again?.line, route.line, 'read again it is another line');
          assert.equal(again && identityOf(again), identityOf(route), 'read again it is another route');
        }
        assertMachineMeant({ routes: [route] });
      }
    },
  },
  link: {
    samples: printed.links,
    take: input => {
      const face = parseInterface(input.toString());
      if (face !== undefined) assertMachineMeant({ interfaces: [face] });
    },
  },
  address: {
    samples: printed.addresses,
    take: input => {
      const address = parseAddress(input.toString());
      if (address !== undefined) assertMachineMeant({ addresses: [address] });
    },
  },
  rule: {
    samples: printed.rules,
    take: input => {
      for (const family of families) {
        const rule = parseRule(input.toString(), family);
        if (rule !== undefined) assertMachineMeant({ rules: [rule] });
      }
    },
  },
  neigh: {
    samples: printed.proxies,
    take: input => {
      const neighbour = parseProxyNeighbour(input.toString(), 'inet');
      if (neighbour !== undefined) assertMachineMeant({ proxyNeighbours: [neighbour] });
    },
  },
  netconf: {
    samples: printed.forwarding,
    take: input => void parseForwarding(input.toString()),
  },
  monitor: {
    samples: monitored,
    take: input => {
      const cache = new KernelCache(() => undefined);
      cache.take({
        links: printed.links,
        addresses: printed.addresses,
        routes: { inet: printed.inet, inet6: printed.inet6 },
        rules: { inet: printed.rules, inet6: [] },
        proxyNeighbours: { inet: printed.proxies, inet6: [] },
      });
      for (const line of input.toString().split('\n')) cache.hear(line);
      const destinations = servers.flatMap(server => parsePrefix(server) ?? []);
      const observed = cache.observed(destinations);
      for (const state of states) assertMeant(state, observed);
    },
  },
  state: {
    samples: [savedState, JSON.stringify(JSON.parse(savedState), undefined, 2)],
    take: async input => {
      writeFileSync(join(directory, 'state.json'), input);
      const { links, savedDefaults, notices } = new StateDirectory(directory).load(bootId);
      for (const { text } of notices) assert.doesNotMatch(text, /\n/);
      assertMeant({ ...emptyState(bootId), links, savedDefaults }, machine());
    },
  },
  configuration: {
    samples: [toml],
    take: async input => {
      writeFileSync(join(directory, 'ppp-routed.toml'), input);
      let found: Profile[];
      try {
        found = await loadConfiguration(directory);
      } catch (error) {
        assert.ok(error instanceof ConfigurationError, String(error));
        for (const fault of error.faults) assert.match(fault, /ppp-routed\.toml:\d+: /);
        return;
      } finally {
        assert.deepEqual(Object.keys(Object.prototype), [], 'every table has it');
      }
      const event = decodeEvent(Buffer.from(events[0] ?? ''));
      const observed = machine();
      for (const profile of found) {
        profileFor([profile], event);
        assertMeant(stateAfter(event, profile), observed);
      }
    },
  },
  glob: {
    samples: ['*.example.*\nvpn.example.com', 'a*a*a*[!a-z]*?b\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', '\\*\n*'],
    take: input => {
      const [glob = '', value = ''] = input.toString().slice(0, 4000).split('\n');
      const profile = { ...(profiles[0] as Profile), match: { peername: glob.slice(0, 255) } };
      profileFor([profile], { interface: 'ppp0', peername: value.slice(0, 255) });
    },
  },
  'peers file': {
    samples: [
      'pty "pptp vpn.example.com --nolaunchpppd"',
      'pptp_server 203.0.113.5',
      'process pptp: call manager for 203.0.113.5',
      'process /usr/sbin/pptp --phone 1 vpn.example.com --quirks BEZEQ_ISRAEL',
    ],
    take: input => {
      const lines = input.toString().split('\n');
      for (const server of [...serversInPeerOptions(lines), ...serversOfProcesses(lines)])
        assert.match(server, /^[A-Za-z0-9:][A-Za-z0-9._:-]*$/, 'the resolver is asked for it');
    },
  },
};
