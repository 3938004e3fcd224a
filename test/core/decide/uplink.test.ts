import fc from 'fast-check';
import t from 'tap';
import type { Demand } from '../../../src/core/decide/demand.ts';
import {
  foldSaved,
  isAdvertised,
  restorationOf,
  uplinkDefaults,
  uplinkRoutes,
} from '../../../src/core/decide/uplink.ts';
import type { SavedDefault } from '../../../src/core/link/state.ts';
import type { Observed } from '../../../src/core/route/observed.ts';
import { type Route, wayOutOf } from '../../../src/core/route/route.ts';
import { parseRoute } from '../../../src/core/route/route-line.ts';
import { seed } from '../../form.ts';

const lease = 'default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100';
const other = 'default via 192.168.1.254 dev eth0 proto dhcp src 192.168.1.10 metric 100';
const wifi = 'default via 172.16.0.1 dev wlan0 proto dhcp metric 600';
const wifiAt100 = 'default via 172.16.0.1 dev wlan0 proto dhcp metric 100';
const onlink = 'default via 9.9.9.9 dev eth0 metric 30 onlink';
const wayOutOfLease = 'default via 192.168.1.1 dev eth0 src 192.168.1.10';

function saved(...lines: string[]): SavedDefault[] {
  return lines.map(route => ({ family: 'inet', route }));
}

function lapsed(...lines: string[]): SavedDefault[] {
  return saved(...lines).map(entry => ({ ...entry, lapsed: true }));
}

function routes(...lines: string[]): Route[] {
  return lines.map(line => parseRoute(line, 'inet') ?? (t.fail(line) as never));
}

/** A machine whose interfaces named are up, and which has 192.168.1.10 and 172.16.0.10. */
function machine(...up: string[]): Observed {
  const names = ['eth0', 'wlan0', 'ppp0'];
  return {
    interfaces: names.map((name, i) => ({ name, ifindex: i + 2, up: up.includes(name) })),
    addresses: [
      { dev: 'eth0', family: 'inet', address: '192.168.1.10', length: 24 },
      { dev: 'wlan0', family: 'inet', address: '172.16.0.10', length: 24 },
    ],
    routes: [],
    rules: [],
    proxyNeighbours: [],
  };
}

t.test('the saved set follows what happens while the link is up', async t => {
  const both = machine('eth0', 'wlan0');
  /** The addresses of eth0 were flushed. */
  const bare = { ...both, addresses: both.addresses.filter(({ dev }) => dev !== 'eth0') };
  const unnumbered = (line: string) => saved(line).map(entry => ({ ...entry, unnumbered: true }));
  const rows: [string, SavedDefault[], string[], Observed, SavedDefault[], string[]?][] = [
    ['nothing came back', saved(lease), [], both, saved(lease)],
    ['the first capture keeps the order', [], [lease, wifi], both, saved(lease, wifi)],
    ['the same lease came back', saved(lease), [lease], both, saved(lease)],
    ['the lease changed its gateway', saved(lease), [other], both, saved(other)],
    [
      'DHCP now without a metric',
      saved(lease),
      ['default via 192.168.1.1 dev eth0 proto dhcp'],
      both,
      saved('default via 192.168.1.1 dev eth0 proto dhcp'),
    ],
    ['one of two of a metric came back', saved(lease, other), [lease], both, saved(lease, other)],
    ['a second uplink appeared', saved(lease), [wifi], both, saved(lease, wifi)],
    ['a better one appeared', saved(wifi), [lease], both, saved(lease, wifi)],
    [
      'the uplink went down',
      saved(lease),
      [],
      machine('wlan0'),
      [{ ...saved(lease)[0], lapsed: true } as SavedDefault],
    ],
    [
      'it went down and came back',
      [{ family: 'inet', route: lease, lapsed: true }],
      [lease],
      both,
      saved(lease),
    ],
    [
      'it went up again, but its route did not come back',
      [{ family: 'inet', route: lease, lapsed: true }],
      [],
      both,
      [{ family: 'inet', route: lease, lapsed: true }],
    ],
    [
      'another device took its place: it is the last resort',
      saved(lease),
      [wifiAt100],
      both,
      [...lapsed(lease), ...saved(wifiAt100)],
    ],
    [
      'it moved back',
      [...lapsed(lease), ...saved(wifiAt100)],
      [lease],
      both,
      [...saved(lease), ...lapsed(wifiAt100)],
    ],
    [
      'it moved back, with another lease',
      [...lapsed(lease), ...saved(wifiAt100)],
      [other],
      both,
      [...lapsed(wifiAt100), ...saved(other)],
    ],
    [
      'and the other device went down again',
      [...lapsed(lease), ...saved(wifiAt100)],
      [],
      machine('eth0'),
      lapsed(lease, wifiAt100),
    ],
    [
      'one of two of a metric came back through another device',
      saved(lease, wifiAt100),
      [wifiAt100],
      both,
      saved(lease, wifiAt100),
    ],
    [
      'one of two of a device came back after it was down',
      lapsed(lease, 'default via 192.168.1.254 dev eth0 proto dhcp metric 200'),
      [lease],
      both,
      [...saved(lease), ...lapsed('default via 192.168.1.254 dev eth0 proto dhcp metric 200')],
    ],
    [
      'its device lost its last address: the kernel would have dropped it',
      saved(onlink, wifi),
      [],
      bare,
      [...lapsed(onlink), ...saved(wifi)],
    ],
    ['a device that never had an address', [], [onlink], bare, unnumbered(onlink)],
    ['it still has none', unnumbered(onlink), [], bare, unnumbered(onlink)],
    ['it has one since', unnumbered(onlink), [onlink], both, saved(onlink)],
    [
      'the kernel takes no pin over it',
      saved(lease, wifi),
      [],
      both,
      [...lapsed(lease), ...saved(wifi)],
      [wayOutOfLease],
    ],
    ['it took none, and there it is again', lapsed(lease), [lease], both, saved(lease), [wayOutOfLease]],
  ];
  for (const [name, before, present, observed, after, refused] of rows) {
    const found = foldSaved(before, routes(...present), { observed, refused: new Set(refused) });
    t.same(found, after, name);
  }
});

t.test('what goes back, what waits, what is given up', async t => {
  const lapsed = (line: string): SavedDefault => ({ family: 'inet', route: line, lapsed: true });
  const rows: [
    string,
    SavedDefault[],
    string[],
    Observed,
    { restore?: string[]; waiting?: string[]; dropped?: string[] },
    string[]?,
  ][] = [
    ['all of it', saved(lease, wifi), [], machine('eth0', 'wlan0'), { restore: [lease, wifi] }],
    ['what is there already need not', saved(lease), [lease], machine('eth0'), {}],
    ['its device is down, and there is no other', saved(lease), [], machine(), { waiting: [lease] }],
    [
      'its device is down, and there is another',
      saved(lease, wifi),
      [],
      machine('wlan0'),
      { restore: [wifi], dropped: [lease] },
    ],
    [
      'roamed: the old uplink lapsed, the new one is there',
      [lapsed(lease)],
      [wifi],
      machine('eth0', 'wlan0'),
      { dropped: [lease] },
    ],
    [
      'lapsed, up again, and nothing else: better than none',
      [lapsed(lease)],
      [],
      machine('eth0'),
      { restore: [lease] },
    ],
    [
      'the kernel refused it, and there is no other',
      saved(lease),
      [],
      machine('eth0'),
      { waiting: [lease] },
      [lease],
    ],
    [
      'the kernel refused it, and there is another',
      saved(lease),
      [wifi],
      machine('eth0', 'wlan0'),
      { dropped: [lease] },
      [lease],
    ],
  ];
  for (const [name, entries, present, observed, wanted, refused] of rows) {
    const found = restorationOf(entries, {
      present: routes(...present),
      observed,
      refused: new Set(refused),
    });
    t.same(
      {
        restore: found.restore.map(({ line }) => line),
        waiting: found.waiting.map(({ route }) => route),
        dropped: found.dropped.map(({ route }) => route),
      },
      { restore: [], waiting: [], dropped: [], ...wanted },
      name,
    );
  }
});

t.test('an uplink default is one of others that carries packets past our links', async t => {
  const table = routes(
    lease,
    'default dev ppp0 scope link',
    'default dev ppp0 proto 173 scope link',
    'unreachable default metric 4278198272',
    '10.0.0.0/8 via 192.168.1.1 dev eth0',
    'default via 192.168.1.1 dev eth0 table 52',
  );
  const found = uplinkDefaults({ ...machine('eth0'), routes: table }, new Set(['ppp0']), 'inet');
  t.same(
    found.map(({ line }) => line),
    [lease],
  );
  const advertised = parseRoute(
    'default via fe80::1 dev eth0 proto ra metric 1024 expires 1799sec pref medium',
    'inet6',
  );
  t.equal(advertised && isAdvertised(advertised), true);
});

t.test('the way out past the links: what stays, what is displaced, and in need what lapsed', async t => {
  const demand: Demand = {
    active: [],
    interfaces: [],
    managedDevices: new Set(['ppp0']),
    routes: [],
    rules: [],
    displaces: new Set(),
    carriers: new Map(),
  };
  const linesOf = (
    table: string[],
    entries: SavedDefault[],
    observed: Observed,
    refused: ReadonlySet<string> = new Set(),
  ) =>
    uplinkRoutes({ observed: { ...observed, routes: routes(...table) }, demand, refused }, entries).map(
      ({ line }) => line,
    );
  const both = machine('eth0', 'wlan0');
  t.same(linesOf(['default dev ppp0 scope link'], saved(lease), both), [lease]);
  t.same(linesOf([wifi], lapsed(lease), both), [wifi], 'there is a better one');
  t.same(linesOf([], [...lapsed(lease), ...saved(wifi)], both), [wifi]);
  t.same(linesOf([], lapsed(lease), both), [lease], 'up again, and nothing else: better than a loop');
  t.same(linesOf([], lapsed(lease), machine('wlan0')), [], 'still down');
  t.same(linesOf([], saved('default dev ppp0'), machine('ppp0')), [], 'saved before the link was managed');

  const refused = new Set([wayOutOfLease]);
  const worse = lease.replace('metric 100', 'metric 700');
  t.same(linesOf([wifi], saved(lease), both, refused), [wifi], 'the kernel takes no pin over it');
  t.same(linesOf([], saved(lease, wifi, worse), both, refused), [wifi], 'nor over the same way out');
  t.same(linesOf([], [...saved(lease), ...lapsed(wifi)], both, refused), [wifi]);
  t.same(linesOf([], saved(lease), both, refused), [lease], 'nothing else: what stands over it stays');
  t.same(linesOf([lease], [], both, refused), [lease], 'what is there is not passed over');

  const pool = [lease, other, wifi, wifiAt100, onlink];
  const entry = fc.record({ route: fc.constantFrom(...pool), lapsed: fc.boolean() });
  const entries = fc.uniqueArray(entry, { selector: ({ route }) => route });
  const refusals = fc.subarray(routes(...pool).map(wayOutOf));
  fc.assert(
    fc.property(fc.subarray(pool), entries, refusals, (present, some, ways) => {
      const list = some.map(({ route, lapsed }): SavedDefault => ({ family: 'inet', route, lapsed }));
      const rankOf = ({ route, lapsed }: SavedDefault) =>
        ways.some(way => routes(route).map(wayOutOf).includes(way)) ? 2 : lapsed === true ? 1 : 0;
      const absent = list.filter(({ route }) => !present.includes(route));
      const best = present.length > 0 ? 0 : Math.min(...absent.map(rankOf));
      const wanted = absent.filter(one => rankOf(one) === best).map(({ route }) => route);
      t.same(new Set(linesOf(present, list, both, new Set(ways))), new Set([...present, ...wanted]));
      return t.passing();
    }),
    { seed },
  );
});
