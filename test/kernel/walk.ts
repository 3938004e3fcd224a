// What can happen to a machine's links, addresses, routes, nexthop objects and rules, at random.
import { type Family, type Prefix, parsePrefix } from '../../src/core/route/prefix.ts';
import type { Route } from '../../src/core/route/route.ts';
import { parseRoute } from '../../src/core/route/route-line.ts';
import type { Reading } from '../../src/kernel/tables.ts';
import type { Draw } from '../reliability/random.ts';

/** One thing that happens: commands of the shell, which may be refused. */
export interface Happening {
  kind: string;
  commands: string[];
  /** Routes that the daemon itself would be about to append or prepend. */
  own?: { route: Route; position: 'first' | 'last' }[];
}

const names = ['n0', 'n1', 'n2', 'n3', 'n4', 'br0'];
const nets = [0, 1, 2, 3];
const hosts = [1, 2, 3, 7, 8, 9];
const destinations4 = [
  'default',
  'default',
  '198.51.100.0/24',
  '198.51.100.7',
  '203.0.113.5',
  '0.0.0.0/1',
  '10.0.0.0/8',
];
const destinations6 = ['default', 'default', '2001:db8:f::/48', '2001:db8:f::5', '2000::/3'];

/** Addresses that every destination of the walk covers, so that nothing in the main table is out of sight. */
export const inSight: readonly Prefix[] = [
  '198.51.100.7',
  '203.0.113.5',
  '2001:db8:f::5',
  'fe80::7',
  ...nets.flatMap(net => hosts.flatMap(host => [`10.${net}.0.${host}`, `2001:db8:${net}::${host}`])),
].flatMap(text => parsePrefix(text) ?? []);

/** What stands or falls by a single line of the monitor. */
export const plainKinds = [
  'link',
  'link',
  'up',
  'up',
  'up',
  'down',
  'address',
  'address',
  'address',
  'unaddress',
  'route',
  'route',
  'route',
  'unroute',
  'unroute',
  'own',
  'own',
  'unown',
];

export const everyKind = [
  ...plainKinds,
  ...['unlink', 'rename', 'bridge', 'mtu', 'group', 'address6', 'address6', 'fleeting', 'flush', 'lo'],
  ...[
    'odd route',
    'odd route',
    'odd route',
    'odd route',
    'multipath',
    'multipath',
    'change',
    'change',
    'restore',
  ],
  ...['nexthop', 'nexthop', 'nexthop group', 'nhid', 'nhid', 'unnexthop', 'rule', 'unrule', 'setting'],
];

/** Something of one of these kinds, on a machine with these tables. */
export function happen(kinds: readonly string[], reading: Reading, draw: Draw): Happening {
  const pick = <T>(list: readonly T[]): T => list[draw(list.length)] as T;
  const maybe = (oneIn: number, words: string) => (draw(oneIn) === 0 ? words : '');
  const present = reading.links
    .flatMap(line => /^\d+: ([^\s@:]+)/.exec(line)?.[1] ?? [])
    .filter(name => names.includes(name));
  const dev = () => (present.length === 0 || draw(8) === 0 ? pick(names) : pick(present));
  const family = (): Family => (draw(3) === 0 ? 'inet6' : 'inet');
  const routesIn = (of: Family) => reading.routes[of].filter(line => !/table local|^multicast/.test(line));
  const ip = (of: Family, words: string) => `ip -f ${of} ${words.replace(/\s+/g, ' ').trim()}`;
  const gateway = (of: Family) =>
    of === 'inet'
      ? `10.${pick(nets)}.0.${pick([7, 8])}`
      : pick([`2001:db8:${pick(nets)}::7`, 'fe80::7', 'fe80::8']);
  const destination = (of: Family) => pick(of === 'inet' ? destinations4 : destinations6);
  const hop = (of: Family) =>
    draw(3) === 0 ? `dev ${dev()}` : `via ${gateway(of)} dev ${dev()} ${maybe(2, 'onlink')}`;
  const metric = () => pick(['', '', 'metric 5', 'metric 5', 'metric 100', 'metric 0']);
  const address = (of: Family) => {
    const net = pick(nets);
    const host = pick([1, 2, 3]);
    if (of === 'inet6') {
      const at = `2001:db8:${net}::${host}`;
      return `${at}${draw(3) === 0 ? ` peer 2001:db8:${net}::${pick([7, 9])}/128` : '/64'} ${maybe(2, 'nodad')}`;
    }
    return draw(3) === 0 ? `10.${net}.0.${host} peer 10.${net}.0.9` : `10.${net}.0.${host}/24`;
  };
  const anAddress = () => {
    const line = pick(reading.addresses.filter(text => !/ lo | echo0 /.test(text)));
    const [, of = 'n0', what = '', family = 'inet'] =
      /^\d+: (\S+)\s+((inet6?) \S+(?: peer \S+)?)/.exec(line ?? '') ?? [];
    return { family: family as Family, words: `${what.replace(/^inet6? /, '') || '10.0.0.1/24'} dev ${of}` };
  };
  const own = (of: Family, verb: string): Happening => {
    const words = `${destination(of)} ${draw(2) === 0 ? `via ${gateway(of)} ` : ''}dev ${dev()} ${maybe(3, 'table 17300')} proto 173 ${draw(6) === 0 ? 'metric 1' : ''}`;
    const route = parseRoute(words, of);
    return {
      kind: 'own',
      commands: [ip(of, `route ${verb} ${words}`)],
      ...(route && { own: [{ route, position: 'first' }] }),
    };
  };
  const did = (...commands: string[]) => commands;
  const kinds_: Record<string, () => string[] | Happening> = {
    link: () => {
      const name = pick(names);
      if (name === 'br0')
        return did('ip link add br0 type bridge', ...(draw(2) === 0 ? ['ip link set br0 up'] : []));
      const up = draw(2) === 0 ? [`ip link set ${name} up`] : [];
      if (draw(2) === 0) return did(`ip tuntap add dev ${name} mode tun`, ...up);
      return did(`ip link add ${name} type veth peer name ${pick(names)}`, ...up);
    },
    unlink: () => did(`ip link del ${dev()}`),
    up: () => did(`ip link set ${dev()} up`),
    down: () => did(`ip link set ${dev()} down`, ...(draw(2) === 0 ? [`ip link set ${dev()} up`] : [])),
    rename: () => did(`ip link set ${dev()} name ${pick(names)}`),
    bridge: () => did(`ip link set ${dev()} ${draw(2) === 0 ? 'master br0' : 'nomaster'}`),
    mtu: () => did(`ip link set ${dev()} mtu ${pick([60, 1000, 1280, 1400, 1500])}`),
    group: () => did(`ip link set ${dev()} group ${pick([0, 7])}`),
    lo: () =>
      did(
        ...pick([
          ['ip link set lo down', 'ip link set lo up'],
          ['ip link set lo down'],
          ['ip link set lo up'],
          ['ip link set lo up'],
        ]),
      ),
    address: () =>
      did(
        ip(
          'inet',
          `address add ${address('inet')} dev ${dev()} ${maybe(6, 'metric 50')} ${maybe(8, 'noprefixroute')}`,
        ),
      ),
    address6: () =>
      did(
        ip(
          'inet6',
          `address ${pick(['add', 'replace'])} ${address('inet6')} dev ${dev()} ${maybe(6, 'metric 50')} ${maybe(8, 'noprefixroute')}`,
        ),
      ),
    fleeting: () => {
      const of = family();
      return did(
        ip(
          of,
          `address replace ${address(of)} dev ${dev()} valid_lft 1 preferred_lft 1 ${of === 'inet6' ? 'noprefixroute' : ''}`,
        ),
      );
    },
    unaddress: () => {
      const { family, words } = anAddress();
      return did(ip(family, `address del ${words}`));
    },
    flush: () =>
      did(
        pick([
          `ip address flush dev ${dev()}`,
          `ip -f ${family()} route flush dev ${dev()}`,
          `ip -f ${family()} route flush table ${pick(['main', '17300'])} proto ${pick(['static', '173'])}`,
        ]),
      ),
    route: () =>
      did(
        ip(
          'inet',
          `route add ${destination('inet')} ${hop('inet')} ${metric()} proto ${pick(['static', 'dhcp', 'boot'])} ${maybe(4, 'table 100')}`,
        ),
      ),
    unroute: () => {
      const of = family();
      const line = pick(routesIn(of));
      return line === undefined ? [] : did(`ip -f ${of} route del ${deletable(line)}`);
    },
    own: () => {
      const of = family();
      return own(of, of === 'inet' ? 'prepend' : 'add');
    },
    unown: () => {
      const of = family();
      const line = pick(routesIn(of).filter(text => text.includes('proto 173')));
      return line === undefined ? [] : did(`ip -f ${of} route del ${deletable(line)}`);
    },
    restore: () => {
      const words = `default via ${gateway('inet')} dev ${dev()} proto dhcp ${metric()}`;
      const route = parseRoute(words, 'inet');
      return {
        kind: 'restore',
        commands: [ip('inet', `route append ${words}`)],
        ...(route && { own: [{ route, position: 'last' }] }),
      };
    },
    'odd route': () => {
      const of = family();
      const type = draw(6) === 0 ? pick(['unreachable', 'blackhole', 'throw', 'prohibit']) : '';
      const source = draw(5) === 0 ? (anAddress().words.split(/[/ ]/)[0] ?? '') : '';
      const words = [
        type,
        destination(of),
        of === 'inet' ? maybe(6, 'tos 0x10') : '',
        type === '' ? hop(of) : '',
        metric(),
        source === '' ? '' : `src ${source}`,
        maybe(6, 'mtu 1300'),
        maybe(8, 'mtu lock 1290'),
        maybe(8, 'advmss 1200'),
        of === 'inet' ? maybe(8, 'realm 5') : '',
        of === 'inet6' ? maybe(8, 'pref high') : '',
        // Longer than a walk: in the 10 ms before and after its end the kernel shows a route as if it had none.
        of === 'inet6' ? maybe(10, 'expires 10000') : '',
        `proto ${pick(['static', 'dhcp', 'boot', 'kernel'])}`,
        draw(5) === 0 ? `table ${pick(['100', '17300'])}` : '',
      ];
      return did(
        ip(
          of,
          `route ${pick(['add', 'append', 'append', 'prepend', 'replace', 'change'])} ${words.join(' ')}`,
        ),
      );
    },
    multipath: () => {
      const of = family();
      const hops = [1, 2, 3]
        .slice(0, 2 + draw(2))
        .map(() => `nexthop ${hop(of)} ${maybe(2, `weight ${1 + draw(5)}`)}`);
      return did(
        ip(
          of,
          `route ${pick(['add', 'append', 'prepend', 'replace'])} ${destination(of)} ${metric()} ${hops.join(' ')}`,
        ),
      );
    },
    change: () => {
      const of = family();
      const line = pick(routesIn(of).filter(text => !/nexthop|:.* proto kernel/.test(text)));
      if (line === undefined) return [];
      const words = deletable(line).replace(/via \S+/, `via ${gateway(of)}`);
      return did(`ip -f ${of} route ${pick(['change', 'replace'])} ${words} ${maybe(3, 'mtu 1350')}`);
    },
    nexthop: () => {
      const of = family();
      return did(
        `ip -f ${of} nexthop ${pick(['add', 'replace'])} id ${1 + draw(4)} ${draw(6) === 0 ? 'blackhole' : hop(of)}`,
      );
    },
    'nexthop group': () =>
      did(
        `ip nexthop ${pick(['add', 'replace'])} id ${11 + draw(2)} group ${pick(['1/2', '1/3', '2/3/4', '1,5/2'])}`,
      ),
    unnexthop: () => did(`ip nexthop ${draw(6) === 0 ? 'flush' : `del id ${pick([1, 2, 3, 4, 11, 12])}`}`),
    nhid: () => {
      const of = family();
      return did(
        ip(
          of,
          `route ${pick(['add', 'append', 'replace'])} ${destination(of)} nhid ${pick([1, 2, 3, 4, 11, 12])} ${metric()} ${maybe(3, 'proto 173')}`,
        ),
      );
    },
    rule: () =>
      did(
        ip(
          family(),
          `rule add from ${pick(['all', 'all'])} table ${pick(['100', '17300', 'main'])} priority ${pick(['17310', '17310', '99'])} ${maybe(2, 'protocol 173')}`,
        ),
      ),
    unrule: () => did(ip(family(), `rule del priority ${pick(['17310', '99'])}`)),
    setting: () => {
      const [path = '', values = []] = pick([
        ['ipv4/conf/all/promote_secondaries', [0, 1]],
        ['ipv4/conf/all/ignore_routes_with_linkdown', [0, 1]],
        ['ipv6/route/skip_notify_on_dev_down', [0, 1]],
        [`ipv6/conf/${dev()}/addr_gen_mode`, [0, 1]],
      ] as [string, number[]][]);
      return did(`echo ${pick(values)} >/proc/sys/net/${path}`);
    },
  };
  const kind = pick(kinds);
  const happened = kinds_[kind]?.() ?? [];
  return Array.isArray(happened) ? { kind, commands: happened } : { ...happened, kind };
}

/** A line of `ip route show`, in words that `ip route del` understands. */
function deletable(line: string): string {
  return line
    .replaceAll('\\', ' ')
    .replace(/\b(linkdown|dead|pervasive|expires \S+)/g, '')
    .replace(/nhid (\d+) .*?(?=table|proto|scope|src|metric|mtu|$)/, 'nhid $1 ')
    .trim();
}
