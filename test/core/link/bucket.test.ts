// Thousands of links: what is kept from one event to the next is what would be found out anew.
import fc from 'fast-check';
import t from 'tap';
import { decide } from '../../../src/core/decide/decide.ts';
import { destinationsOf } from '../../../src/core/decide/destinations.ts';
import { commandOf } from '../../../src/core/decide/plan.ts';
import { bucketsOf, byBucket, linksAfter, linksNotIn } from '../../../src/core/link/bucket.ts';
import { dropVanished, type Link } from '../../../src/core/link/link.ts';
import type { Profile } from '../../../src/core/link/profile.ts';
import { emptyState } from '../../../src/core/link/state.ts';
import type { Interface, Observed } from '../../../src/core/route/observed.ts';
import { formatPrefix } from '../../../src/core/route/prefix.ts';
import { parseRoute, type Route } from '../../../src/core/route/route.ts';
import { linkLine, linksLine, statusLine } from '../../../src/core/tell/status.ts';
import { seed } from '../../form.ts';

const quiet: Omit<Profile, 'name'> = {
  'default-route': 'none',
  server: 'auto',
  networks: [],
  exclude: [],
  'proxy-arp': 'off',
  ipv6: 'leave',
  'on-loss': 'restore',
  priority: 0,
};

/** Of every hundred links most ask for nothing. */
const profiles: (Profile | undefined)[] = [
  undefined,
  { ...quiet, name: 'quiet' },
  { ...quiet, name: 'first', priority: 3 },
  { ...quiet, name: 'networks', networks: ['10.20.0.0/16', '192.168.0.0/23'] },
  { ...quiet, name: 'default', 'default-route': 'replace' },
  { ...quiet, name: 'dark', 'default-route': 'half', 'on-loss': 'block', ipv6: 'block' },
  { ...quiet, name: 'exclude', exclude: ['172.16.0.0/12'] },
  { ...quiet, name: 'proxy', 'proxy-arp': 'auto', priority: -1 },
];

function linkOf(order: number, { kind = order % 9 === 0 ? order % profiles.length : order % 2 } = {}): Link {
  const profile = profiles[kind];
  return {
    interface: `ppp${order}`,
    ifindex: order + 10,
    profile,
    inet: { local: '10.99.0.2', remote: `192.168.1.${order % 250}` },
    order,
    peerOptions: [],
    servers: profile?.name === 'default' ? [`203.0.113.${order % 250}`] : [],
  };
}

const change = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), count: fc.constantFrom(1, 1, 1, 70), of: fc.nat(7) }),
  fc.record({ kind: fc.constant('remove' as const), at: fc.nat(), count: fc.constantFrom(1, 1, 90) }),
  fc.record({ kind: fc.constant('replace' as const), at: fc.nat(), of: fc.nat(7) }),
  fc.record({ kind: fc.constant('lose' as const), at: fc.nat() }),
  fc.record({ kind: fc.constant('down' as const), at: fc.nat() }),
  fc.record({ kind: fc.constant('vanish' as const), at: fc.nat() }),
  fc.record({ kind: fc.constant('rename' as const), at: fc.nat() }),
);
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

const walk = fc.record({
  first: fc.constantFrom(0, 50, 64, 65, 300),
  changes: fc.array(change, { maxLength: 12 }),
});

interface Machine {
  links: Link[];
  interfaces: Interface[];
}

const faceOf = ({ ifindex, interface: name }: Link): Interface => ({ ifindex, name, up: true });

/** What happens makes other lists; what stays is the very same. */
function after({ links, interfaces }: Machine, what: Change): Machine {
  const next = 1 + links.reduce((highest, { order }) => Math.max(highest, order), 0);
  const at = 'at' in what ? what.at % Math.max(1, links.length) : 0;
  const chosen = links[at];
  if (what.kind === 'add') {
    const added = Array.from({ length: what.count }, (_, i) => linkOf(next + i, { kind: what.of }));
    return {
      links: linksAfter(links, { gone: [], come: added }),
      interfaces: [...interfaces, ...added.map(faceOf)],
    };
  }
  if (chosen === undefined) return { links, interfaces };
  const instead = (...come: Link[]) => linksAfter(links, { gone: [chosen], come });
  const changed = (change: (face: Interface) => Interface[]) =>
    interfaces.flatMap(face => (face.ifindex === chosen.ifindex ? change(face) : [face]));
  switch (what.kind) {
    case 'remove':
      return { links: linksAfter(links, { gone: links.slice(at, at + what.count), come: [] }), interfaces };
    case 'replace':
      return {
        links: instead({ ...linkOf(chosen.order, { kind: what.of }), interface: chosen.interface }),
        interfaces,
      };
    case 'lose':
      return { links: instead({ ...chosen, lost: true }), interfaces };
    case 'down':
      return { links, interfaces: changed(face => [{ ...face, up: false }]) };
    case 'vanish':
      return { links, interfaces: changed(() => []) };
    case 'rename':
      return { links, interfaces: changed(face => [{ ...face, name: `was-${face.name}` }]) };
  }
}

function routesOf(...lines: string[]): Route[] {
  return lines.flatMap(line => parseRoute(line, 'inet') ?? []);
}

/** Everything that depends on the links, in words. */
function findings(links: Link[], interfaces: Interface[]) {
  const observed: Observed = {
    interfaces,
    addresses: [{ dev: 'eth0', family: 'inet', address: '192.168.1.10', length: 24 }],
    routes: routesOf(
      'default via 192.168.1.1 dev eth0 proto dhcp metric 302',
      '192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10',
      'default dev ppp3 scope link',
    ),
    rules: [],
    proxyNeighbours: [],
    forwarding: new Set(['eth0']),
  };
  const { links: left, vanished } = dropVanished(links, interfaces);
  const state = { ...emptyState('boot'), links: left };
  const decision = decide({ state, observed, refused: new Set() });
  return {
    left,
    vanished,
    destinations: destinationsOf(state).map(formatPrefix).sort(),
    steps: decision.steps.map(commandOf),
    saved: decision.state.savedDefaults,
    troubles: decision.troubles,
    warnings: decision.warnings,
    line: linksLine(left, decision),
    status: statusLine(left, decision, decision.troubles),
    each: left.map(link => linkLine(link, decision)),
    before: links.map(link => linkLine(link, decision)),
  };
}

t.test('event after event: the same as of links that nobody has seen before', async t => {
  fc.assert(
    fc.property(walk, ({ first, changes }) => {
      const begin = Array.from({ length: first }, (_, i) => linkOf(i + 1));
      let machine: Machine = {
        links: begin,
        interfaces: [{ ifindex: 2, name: 'eth0', up: true }, ...begin.map(faceOf)],
      };
      for (const what of [undefined, ...changes]) {
        if (what !== undefined) machine = after(machine, what);
        const { links, interfaces } = machine;
        const kept = findings(links, interfaces);
        const anew = findings(structuredClone(links), structuredClone(interfaces));
        t.same(kept, anew, JSON.stringify(what));
        machine = { links: kept.left, interfaces };
      }
      return t.passing();
    }),
    { numRuns: 60, seed },
  );
});

t.test('every link is in one bucket, and one that stays in the bucket of before', async t => {
  const links = Array.from({ length: 1000 }, (_, i) => linkOf(i * 7));
  const buckets = bucketsOf(links);
  t.same(new Set(buckets.flat()), new Set(links));
  t.equal(buckets.flat().length, links.length);
  let asked = 0;
  const count = byBucket(bucket => {
    asked++;
    return bucket.length;
  });
  const total = (of: readonly Link[]) => count(of).reduce((sum, n) => sum + n, 0);
  t.equal(total(links), 1000);
  t.equal(asked, buckets.length);
  const rest = linksAfter(links, { gone: links.slice(500, 501), come: [] });
  t.equal(total(rest), 999);
  t.equal(asked, buckets.length + 1, 'what one had to say that went');
  t.equal(total(linksAfter(rest, { gone: [], come: [linkOf(7000)] })), 1000);
  t.equal(asked, buckets.length + 2, 'and one that came');
});

t.test('an order that no daemon gives', async t => {
  const odd = [-1, 0.5, 2 ** 40, Number.MAX_SAFE_INTEGER].map(order => ({ ...linkOf(1), order }));
  const links = [...odd, ...Array.from({ length: 100 }, (_, i) => linkOf(i))];
  t.same(new Set(bucketsOf(links).flat()), new Set(links));
});

t.test('links that are not among others', async () => {
  const pool = Array.from({ length: 200 }, (_, i) => linkOf(i));
  const some = fc.shuffledSubarray(pool);
  const orders = (list: readonly Link[]) => list.map(({ order }) => order).sort((a, b) => a - b);
  const isRight = (links: readonly Link[], others: readonly Link[]) => {
    const there = new Set(others);
    const wanted = links.filter(link => !there.has(link));
    return JSON.stringify(orders(linksNotIn(links, others))) === JSON.stringify(orders(wanted));
  };
  fc.assert(
    fc.property(some, some, some, (links, others, more) => isRight(links, others) && isRight(links, more)),
    { seed },
  );
});

t.test('a link that is up for one family and was lost for the other', async t => {
  const dark = profiles.findIndex(profile => profile?.name === 'dark');
  const up = linkOf(1, { kind: dark });
  const lost = { ...up, lost: true };
  const state = { ...emptyState('boot'), links: [lost, up] };
  const observed: Observed = {
    interfaces: [faceOf(up)],
    addresses: [],
    routes: [],
    rules: [],
    proxyNeighbours: [],
  };
  const decision = decide({ state, observed, refused: new Set() });
  t.match(linkLine(up, decision), /ppp1 up/);
  t.match(linkLine(lost, decision), /ppp1 is lost/);
});
