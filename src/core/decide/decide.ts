import type { Link } from '../link/link.ts';
import { type SavedDefault, type State, savedRoute } from '../link/state.ts';
import { memoize } from '../route/memoize.ts';
import type { Address, Observed } from '../route/observed.ts';
import { ownMetric } from '../route/own-route.ts';
import { covers, families, type Prefix, parsePrefix } from '../route/prefix.ts';
import { devicesOf, type Route } from '../route/route.ts';
import { type Demand, type Devices, demandOf } from './demand.ts';
import { modes } from './modes/index.ts';
import { everything } from './modes/mode.ts';
import { orphans, strandedPins } from './orphan.ts';
import { pinsOf } from './pin.ts';
import { familyOfStep, planSteps, type Step, type Wanted } from './plan.ts';
import { proxyNeighboursOf } from './proxy-neighbour.ts';
import {
  foldSaved,
  isAdvertised,
  restorationOf,
  uplinkDefaults,
  uplinkRoutes,
  whyNotToDisplace,
} from './uplink.ts';

/** All that a decision depends on. */
export interface Situation {
  state: State;
  observed: Observed;
  /** Lines that the kernel would not take just now, and the ways out (`wayOutOf`) over which it would take no pin. */
  refused: ReadonlySet<string>;
  /** True from a start until none is `orphaned`: where the state was lost, nobody knows which of our routes are leftovers. */
  isForgetful?: boolean;
  /** A part of the state cannot be read. A lost link that must stay dark may be in it: nothing of ours is removed or restored. */
  isPartial?: boolean;
}

/** What is to be saved, what is to be done, and what a person should know. */
export interface Decision {
  state: State;
  steps: Step[];
  demand: Demand;
  /** True where a route of somebody else's is about to go: the state must be safe on disk before. */
  displacing: boolean;
  /** What is not as the configuration asks, in sentences. */
  troubles: string[];
  /** What is as it is configured, and yet may surprise: said once. */
  warnings: string[];
  /** Saved defaults that are given up, because what is there now is newer. */
  dropped: SavedDefault[];
  /** What stays because nothing else leads out: our defaults of no link that is known, and pins of servers. */
  orphaned: Route[];
}

/** The one decision: from what is known and what the kernel has, to what is saved and what is changed. */
export function decide({
  state,
  observed,
  refused,
  isForgetful = false,
  isPartial = false,
}: Situation): Decision {
  const demand = demandOf(state.links, observed);
  const wanted: Wanted = {
    routes: [...demand.routes],
    rules: [...demand.rules],
    proxyNeighbours: [],
    restore: [],
    displace: [],
  };
  const troubles: string[] = [];
  const dropped: SavedDefault[] = [];
  const savedDefaults: SavedDefault[] = [];
  /** Uplink defaults that stay where they are, beside ours. */
  const beside: Route[] = [];
  const isIdle = (entry: SavedDefault) => leadsInto(entry, demand.managedDevices);

  for (const family of families) {
    const saved = state.savedDefaults.filter(entry => entry.family === family);
    const present = uplinkDefaults(observed, demand.managedDevices, family);
    const displaceable = present.filter(route => !isAdvertised(route));
    const stubborn = displaceable
      .map(route => ({ route, because: whyNotToDisplace(route, { displaceable, observed }) }))
      .find(({ because }) => because !== undefined);
    if (demand.displaces.has(family) && stubborn === undefined) {
      const folded = foldSaved(saved, displaceable, { observed, refused });
      savedDefaults.push(...folded);
      dropped.push(...lost(saved, folded));
      wanted.displace.push(...displaceable);
      beside.push(...present.filter(route => !displaceable.includes(route)));
      continue;
    }
    if (demand.displaces.has(family) && stubborn !== undefined) {
      troubles.push(
        `keeping ${stubborn.route.line}: ${stubborn.because}, so our default stands beside it at a better metric`,
      );
    }
    beside.push(...present);
    const folded = foldSaved(saved, present, { observed });
    const restoration = restorationOf(
      folded.filter(entry => !isIdle(entry)),
      { present, observed, refused },
    );
    wanted.restore.push(...restoration.restore);
    savedDefaults.push(
      ...restoration.restore.map(({ line }) => ({ family, route: line })),
      ...restoration.waiting,
      ...folded.filter(isIdle),
    );
    dropped.push(...lost(saved, [...folded]), ...restoration.dropped);
    for (const entry of restoration.waiting)
      troubles.push(
        `the saved ${entry.route} cannot be restored yet: its device is down or its gateway out of reach`,
      );
  }

  for (const { route } of savedDefaults.filter(entry => isIdle(entry) && entry.lapsed !== true))
    troubles.push(
      `the saved ${route} leads through a link that a profile matches: it is kept, and no uplink while that is so`,
    );
  const pins = pinsOf(demand, uplinkRoutes({ observed, demand, refused }, savedDefaults), observed);
  wanted.routes.push(...pins.routes);
  wanted.rules.push(...pins.rules);
  for (const destination of pins.unreachable)
    troubles.push(`no uplink leads to ${destination}: it is pinned when one appears`);
  for (const { link } of demand.active) {
    const { unresolved = [], servers, asking } = link;
    if (unresolved.length === 0 || asking === true) continue;
    // One address is enough for the link to carry the default: the tunnel stands already, and it may well be to that one.
    const then = servers.length > 0 ? 'it is not pinned' : 'the default stays where it is';
    troubles.push(
      `${link.interface}: no address for the server ${unresolved.join(', ')}; ${then} until the name resolves`,
    );
  }
  const proxies = proxyNeighboursOf(demand, observed);
  wanted.proxyNeighbours.push(...proxies.neighbours);
  troubles.push(...proxies.troubles);
  const orphaned = isForgetful ? orphans({ links: state.links, observed, wanted }) : [];
  for (const { line } of orphaned)
    troubles.push(
      `${line} is ours, and no link is known that it is for: it stays, because nothing else leads out`,
    );
  const stranded = isForgetful ? strandedPins(observed, pins.unreachable) : [];
  const keeps = new Set([...orphaned, ...stranded].map(({ family }) => family));
  const steps = planSteps(observed, wanted).filter(
    step =>
      !(isRemoval(step) && (isPartial || keeps.has(familyOfStep(step)))) &&
      !(isPartial && step.kind === 'add-route' && step.purpose === 'restore'),
  );
  return {
    state: { ...state, savedDefaults },
    steps,
    demand,
    displacing: steps.some(step => step.kind === 'delete-route' && step.because === 'displaced'),
    troubles,
    warnings: [
      ...leaks(demand, observed),
      ...openings(demand, beside),
      ...overlaps(demand, observed),
      ...unpinned(demand),
    ],
    dropped,
    orphaned: [...orphaned, ...stranded],
  };
}

/** Something of ours goes. */
function isRemoval(step: Step): boolean {
  return step.kind.startsWith('delete-') && !(step.kind === 'delete-route' && step.because === 'displaced');
}

/**
 * A default through a managed link is no uplink, whoever added it and whenever. One that was saved before the link was
 * managed is neither used nor given back, but it stays saved: a profile may match a link by mistake, and for a moment.
 */
function leadsInto(entry: SavedDefault, devices: Devices): boolean {
  return savedRoute(entry)?.nexthops.some(({ dev }) => dev !== undefined && devices.has(dev)) ?? false;
}

/** The saved ones that something newer took the place of. */
function lost(before: readonly SavedDefault[], after: readonly SavedDefault[]): SavedDefault[] {
  const kept = new Set(after.map(({ route }) => route));
  return before.filter(({ route }) => !kept.has(route));
}

/** IPv6 goes past a link that carries only IPv4, unless the profile says otherwise. */
function leaks(demand: Demand, observed: Observed): string[] {
  const carrier = demand.carriers.get('inet');
  if (carrier === undefined || carrier.profile.ipv6 !== 'leave' || demand.carriers.has('inet6')) return [];
  const [uplink] = uplinkDefaults(observed, demand.managedDevices, 'inet6');
  if (uplink === undefined) return [];
  const { link, profile } = carrier;
  return [
    `IPv6 does not go over ${link.interface} but past it, through ${devicesOf(uplink).join(' and ')}: profile ${profile.name} has ipv6 = "leave"; "block" stops it, "route" sends it over the link`,
  ];
}

/**
 * Where a link is to block when it is lost, what leads nowhere stands behind its default (`defaultRoutes`). An uplink's
 * default with the metric of ours stands between the two, and no metric is better: until we have looked it is open.
 */
function openings({ carriers }: Demand, beside: readonly Route[]): string[] {
  return [...carriers].flatMap(([family, { link, profile, dark }]) => {
    const mode = modes[profile['default-route']];
    if (profile['on-loss'] !== 'block' || dark || mode.table !== 'main') return [];
    const between = beside.filter(
      route => route.family === family && route.metric <= ownMetric[family] && mode.prefixes === everything,
    );
    return between.map(
      ({ line }) =>
        `${line} has as good a metric as our default over ${link.interface}: when that link is lost, traffic leaves by it until ppp-routed has looked, although profile ${profile.name} has on-loss = "block"; give it a higher metric`,
    );
  });
}

/** A network behind a link that is also a LAN here: the machines on it go out of reach. */
function overlaps(demand: Demand, observed: Observed): string[] {
  const lans = lansAmong(observed.addresses).filter(({ dev }) => !demand.managedDevices.has(dev));
  if (lans.length === 0) return [];
  const place = lans.map(({ dev, address, length }) => `${dev} ${address}/${length}`).join();
  return demand.active.flatMap(({ link, profile }) => {
    const known = overlapping.get(link);
    if (known?.place === place) return known.sayings;
    const sayings = profile.networks.flatMap(network => {
      const prefix = parsePrefix(network);
      const lan = lans.find(
        ({ own }) =>
          prefix !== undefined &&
          (covers({ outer: own, inner: prefix }) || covers({ outer: prefix, inner: own })),
      );
      if (lan === undefined) return [];
      return [
        `network ${network} of profile ${profile.name} overlaps the LAN ${lan.address}/${lan.length} on ${lan.dev}: what is in both goes over ${link.interface} where ${network} is the longer prefix`,
      ];
    });
    overlapping.set(link, { place, sayings });
    return sayings;
  });
}

type Lan = Address & { own: Prefix };

/** The prefixes that this machine has addresses in, those of links left out. */
const lansAmong = memoize((addresses: readonly Address[]): readonly Lan[] =>
  addresses.flatMap(lan => {
    if (lan.peer !== undefined) return [];
    const own = parsePrefix(`${lan.address}/${lan.length}`);
    return own === undefined ? [] : [{ ...lan, own }];
  }),
);

/** What was found out about a link, and the LANs that it was held against. */
const overlapping = new WeakMap<Link, { place: string; sayings: string[] }>();

/** Without a pin a tunnel over IP can be routed through itself. PPPoE and serial lines need none. */
function unpinned(demand: Demand): string[] {
  const carriers = new Set(demand.carriers.values());
  return [...carriers].flatMap(({ link, profile }) => {
    if (profile.server !== 'auto' || link.servers.length > 0 || link.asking === true) return [];
    return [
      `${link.interface}: no server was found to keep on the uplink; if this tunnel runs over IP, name its server in profile ${profile.name}, else say server = "none"`,
    ];
  });
}
