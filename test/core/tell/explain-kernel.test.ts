// The explanation against the kernel that it explains: random tables and rules, and `ip route get fibmatch` as the judge.
import fc from 'fast-check';
import { type Family, parsePrefix } from '../../../src/core/route/prefix.ts';
import { identityOf, type Nexthop, type Route } from '../../../src/core/route/route.ts';
import { parseRoute } from '../../../src/core/route/route-line.ts';
import { explain } from '../../../src/core/tell/explain.ts';
import { readDump } from '../../cli/machine.ts';
import { countOf, seed } from '../../form.ts';
import { type Lab, scenario } from '../../netns/lab.ts';

const families = {
  inet: {
    flag: '-4',
    bases: ['10.20.30.40', '10.20.128.1', '192.168.1.77', '203.0.113.5', '8.8.8.8'],
    local: ['192.168.1.10', '192.168.1.255', '10.0.0.1', '127.0.0.7'],
    lengths: [0, 1, 8, 15, 16, 24, 25, 30, 32],
    ways: ['via 192.168.1.1 dev eth0', 'via 10.0.0.254 dev eth1', 'dev eth1', 'dev ppp0'],
    several: 'nexthop via 192.168.1.1 dev eth0 nexthop via 10.0.0.254 dev eth1 weight 2',
    metrics: [0, 0, 1, 100],
  },
  inet6: {
    flag: '-6',
    bases: ['2001:db8::30:40', '2001:db8:1::1', 'fd00:1::77', '2606:4700::1111', '64:ff9b::1'],
    local: ['fd00:1::10', '::1', 'ff02::5'],
    lengths: [0, 3, 16, 32, 47, 48, 64, 127, 128],
    ways: ['via fd00:1::1 dev eth0', 'via fd00:2::254 dev eth1', 'dev eth1', 'dev ppp0'],
    several: 'nexthop via fd00:1::1 dev eth0 nexthop via fd00:2::254 dev eth1 weight 2',
    metrics: [1, 1, 100, 1024],
  },
} as const;

/** What `ip` is told to make, and where packets are then sent. */
interface World {
  commands: string[];
  destinations: string[];
}

function worldOf(family: Family): fc.Arbitrary<World> {
  const { bases, local, lengths, ways, several, metrics } = families[family];
  const prefix = fc
    .tuple(fc.constantFrom(...bases), fc.constantFrom(...lengths))
    .map(([base, length]) => networkOf(base, length));
  const way = fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...ways) },
    { weight: 1, arbitrary: fc.constant(several) },
  );
  const refusal = fc.constantFrom('unreachable', 'blackhole', 'prohibit', 'throw');
  const table = fc.constantFrom('', '', ' table 17300 proto 173');
  const metric = fc.constantFrom(...metrics).map(value => ` metric ${value}`);
  const route = fc.oneof(
    {
      weight: 7,
      arbitrary: fc.tuple(prefix, table, metric, way).map(([dst, at, by, to]) => `${dst}${at}${by} ${to}`),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(refusal, prefix, table, metric)
        .map(([type, dst, at, by]) => `${type} ${dst}${at}${by}`),
    },
  );
  const selector = fc.oneof(
    fc.constant('from all'),
    prefix.map(dst => `from all to ${dst}`),
    prefix.map(dst => `not from all to ${dst}`),
    fc.constantFrom(
      'from all fwmark 0x1',
      'not from all fwmark 0x1',
      'from all iif lo',
      'from all ipproto tcp',
    ),
  );
  const action = fc.oneof(
    { weight: 3, arbitrary: fc.constant('lookup 17300') },
    {
      weight: 3,
      arbitrary: fc.constantFrom(...lengths).map(length => `lookup main suppress_prefixlength ${length}`),
    },
    { weight: 1, arbitrary: fc.constantFrom('unreachable', 'prohibit', 'lookup main', 'goto 300') },
  );
  const rule = fc
    .tuple(fc.integer({ min: 100, max: 299 }), selector, action)
    .map(([priority, for_, does]) => `rule add priority ${priority} ${for_} ${does}`);
  return fc.record({
    commands: fc
      .tuple(fc.array(route, { maxLength: 14 }), fc.array(rule, { maxLength: 4 }))
      .map(([routes, rules]) => [...routes.map(line => `route append ${line}`), ...rules]),
    destinations: fc.shuffledSubarray([...bases, ...local], { minLength: 3 }),
  });
}

/** `ip` refuses prefixes with host bits in IPv4. */
function networkOf(base: string, length: number): string {
  const prefix = parsePrefix(`${base}/${length}`);
  if (prefix === undefined) throw new Error(base);
  const bytes = prefix.address.toByteArray().map((byte, i) => {
    const bits = Math.min(8, Math.max(0, length - i * 8));
    return byte & (0xff00 >> bits) & 0xff;
  });
  const groups = bytes.flatMap((byte, i) =>
    i % 2 === 0 ? [(byte * 256 + (bytes[i + 1] ?? 0)).toString(16)] : [],
  );
  return `${prefix.family === 'inet' ? bytes.join('.') : groups.join(':')}/${length}`;
}

/** Makes the world anew, then prints what is there and where the kernel sends the destinations. */
const play = `
flag=$1 commands=$2; shift 2
ip $flag route flush table main proto boot
ip $flag route flush table 17300 2>/dev/null
ip $flag rule flush
ip $flag rule add priority 32766 lookup main
ip $flag rule add priority 300 nop 2>/dev/null
printf '%s\\n' "$commands" | ip $flag -force -batch - 2>/dev/null
echo '== links'; ip -o link show
echo '== addresses'; ip -o address show
echo '== routes'; ip $flag -o route show table main
ip $flag -o route show table all proto 173 | sed 's/$/ proto 173/'
echo '== rules'; ip $flag -o rule show
for destination; do echo "== $destination"; ip $flag -o route get fibmatch "$destination" 2>&1 || true; done
`;

/** The kernel's word in the terms of an explanation. */
function judge(line: string, family: Family): string {
  if (/^(local|broadcast|multicast|anycast) /.test(line)) return 'delivered';
  const route = parseRoute(line, family);
  if (route === undefined || route.type !== 'unicast') return 'not carried';
  return nameOf(route);
}

/** Of the ways of one IPv6 route the kernel prints the one first that the address would take. */
function nameOf(route: Route): string {
  const via = ({ via = '' }: Nexthop) => via;
  return identityOf({ ...route, nexthops: route.nexthops.toSorted((a, b) => via(a).localeCompare(via(b))) });
}

async function compare(lab: Lab, family: Family, { commands, destinations }: World): Promise<void> {
  const printed = await lab.run(
    ...['/bin/sh', '-c', play, 'sh', families[family].flag, commands.join('\n'), ...destinations],
  );
  const blocks = new Map(
    printed.split('== ').flatMap(block => {
      const [name = '', ...lines] = block.split('\n');
      return name === '' ? [] : [[name, lines.join('\n').trim()] as const];
    }),
  );
  const observed = readDump({
    links: blocks.get('links') ?? '',
    addresses: blocks.get('addresses') ?? '',
    [family === 'inet' ? 'routes' : 'routes6']: blocks.get('routes') ?? '',
    [family === 'inet' ? 'rules' : 'rules6']: blocks.get('rules') ?? '',
  });
  for (const address of destinations) {
    const destination = parsePrefix(address);
    if (destination === undefined) throw new Error(address);
    const { verdict, route, steps } = explain(destination, observed);
    const explained =
      verdict === 'delivered' ? verdict : verdict === 'routed' && route ? nameOf(route) : 'not carried';
    const says = blocks.get(address) ?? '';
    if (judge(says, family) !== explained) {
      throw new Error(
        `${address}: the kernel says ${says}, we say ${verdict} ${route?.line ?? ''}\n${JSON.stringify(steps, undefined, 1)}\n${printed}`,
      );
    }
  }
}

for (const family of ['inet', 'inet6'] as const) {
  scenario(`the kernel takes the route that is explained: ${family}`, async lab => {
    for (const device of ['eth0', 'eth1', 'ppp0']) await lab.plug(device);
    for (const address of [
      '192.168.1.10/24 brd + dev eth0',
      '10.0.0.1/24 dev eth1',
      '10.99.0.2 peer 10.99.0.1 dev ppp0',
    ])
      await lab.ip(`address add ${address}`);
    for (const address of [
      'fd00:1::10/64 dev eth0',
      'fd00:2::1/64 dev eth1',
      'fd00:99::2 peer fd00:99::1 dev ppp0',
    ])
      await lab.ip(`address add ${address} nodad`);
    await fc.assert(
      fc.asyncProperty(worldOf(family), world => compare(lab, family, world)),
      { numRuns: countOf({ short: 40, whole: 200 }), seed },
    );
  });
}
