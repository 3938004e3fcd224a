import { type SavedDefault, savedRoute } from '../link/state.ts';
import { foreignRoutes, isUp, type Observed } from '../route/observed.ts';
import type { Family } from '../route/prefix.ts';
import { devicesOf, identityOf, isDefault, type Route, wayOutOf } from '../route/route.ts';
import type { Demand, Devices } from './demand.ts';

/** The default routes that are not through a managed link, as the kernel has them now, best first. */
export function uplinkDefaults(observed: Observed, managedDevices: Devices, family: Family): Route[] {
  return foreignRoutes(observed).filter(
    route =>
      route.family === family && isDefault(route) && !devicesOf(route).some(dev => managedDevices.has(dev)),
  );
}

/** A router advertised it: the kernel renews and withdraws it by itself, so nobody else may. */
export function isAdvertised(route: Route): boolean {
  return (
    route.family === 'inet6' &&
    (route.protocol === 'ra' ||
      route.protocol === '9' ||
      (route.protocol === 'kernel' && route.unrestorable !== undefined))
  );
}

/**
 * Why a default could not be given back as it was, if so. One goes back behind all of its metric, so none that stays may
 * be behind it: `unreachable default metric 100` would be asked first. IPv6 has no such places.
 */
export function whyNotToDisplace(
  route: Route,
  { displaceable, observed }: { displaceable: readonly Route[]; observed: Observed },
): string | undefined {
  if (route.unrestorable !== undefined) return route.unrestorable;
  const peers = foreignRoutes(observed).filter(
    other => isSameSlot(other, route) && (other === route || !displaceable.includes(other)),
  );
  const others = route.family === 'inet6' ? peers : peers.slice(peers.indexOf(route));
  const other = others.find(candidate => candidate !== route);
  return other && `its place beside ${other.line} could not be given back to it`;
}

/** Two routes between which nothing but their order decides. */
function isSameSlot(a: Route, b: Route): boolean {
  return (
    a.family === b.family &&
    a.dst === b.dst &&
    a.table === b.table &&
    a.metric === b.metric &&
    a.tos === b.tos
  );
}

/** Would the kernel take this route now: are its devices up and is its preferred source there? */
export function isInstallable(route: Route, observed: Observed): boolean {
  const devices = devicesOf(route);
  return (
    devices.every(dev => isUp(observed, dev)) &&
    (route.source === undefined || observed.addresses.some(({ address }) => address === route.source))
  );
}

/** Does a device of the route have no IPv4 address? With its last one a device loses all of its IPv4 routes. */
function isUnnumbered(route: Route, { addresses }: Observed): boolean {
  const isNumbered = (dev: string) =>
    addresses.some(address => address.dev === dev && address.family === 'inet');
  return route.family === 'inet' && !devicesOf(route).every(isNumbered);
}

/** A default that is there, as it is saved. */
function savedAs(route: Route, observed: Observed): SavedDefault {
  const { family, line } = route;
  return { family, route: line, ...(isUnnumbered(route, observed) && { unnumbered: true }) };
}

/**
 * The saved set after a look at the kernel, for one family. It is what the kernel would have if nothing had been
 * displaced: a default that came back takes the place of the one it renews, and a route has lapsed whose device went down
 * or lost its last IPv4 address, or over which the kernel takes no pin: its gateway or its nexthop object is gone.
 * So has one whose place was taken through another device: had both been there, nobody knows whether it would have been
 * replaced or had the other beside it. At one metric the last that was set counts, and the others are the last resort.
 */
export function foldSaved(
  saved: readonly SavedDefault[],
  present: readonly Route[],
  { observed, refused }: { observed: Observed; refused?: ReadonlySet<string> },
): SavedDefault[] {
  const here = new Set(present.map(identityOf));
  const known = new Set(saved.flatMap(entry => savedRoute(entry) ?? []).map(identityOf));
  const newer = present.filter(route => !known.has(identityOf(route)));
  const returned = saved.flatMap(entry => {
    const route = entry.lapsed === true ? savedRoute(entry) : undefined;
    return route !== undefined && here.has(identityOf(route)) ? [route] : [];
  });
  const kept = saved.flatMap(entry => {
    const route = savedRoute(entry);
    if (route === undefined) return [entry];
    if (here.has(identityOf(route))) return [{ ...savedAs(route, observed), route: entry.route }];
    if (newer.some(candidate => supersedes(candidate, route) && haveSameDevices(candidate, route))) return [];
    const isOutdone = [...newer, ...returned].some(
      candidate => supersedes(candidate, route) && !haveSameDevices(candidate, route),
    );
    const isLeft =
      isInstallable(route, observed) &&
      (entry.unnumbered === true || !isUnnumbered(route, observed)) &&
      refused?.has(wayOutOf(route)) !== true;
    return [isLeft && !isOutdone ? entry : { ...entry, lapsed: true }];
  });
  return sortByMetric([...kept, ...newer.map(route => savedAs(route, observed))]);
}

/** Would this default have replaced that one, had that one still been there? By key, as the kernel; by lease, as DHCP. */
function supersedes(newer: Route, older: Route): boolean {
  if (newer.family !== older.family || newer.tos !== older.tos) return false;
  // The kernel sets it beside whatever is there.
  if (isAdvertised(newer)) return false;
  return (
    newer.metric === older.metric || (newer.protocol === older.protocol && haveSameDevices(newer, older))
  );
}

function haveSameDevices(a: Route, b: Route): boolean {
  return devicesOf(a).join() === devicesOf(b).join();
}

/** The kernel's own order; routes of one metric stay in the order they were saved in. */
function sortByMetric(saved: SavedDefault[]): SavedDefault[] {
  const metricOf = (entry: SavedDefault) => savedRoute(entry)?.metric ?? 0;
  return saved.sort((a, b) => metricOf(a) - metricOf(b));
}

/** What happens to the saved defaults of one family now that no link displaces them. */
export interface Restoration {
  /** To be given back to the kernel. */
  restore: Route[];
  /** Kept in the state file: they cannot be given back yet and there is no other uplink. */
  waiting: SavedDefault[];
  /** Given up: the uplink changed meanwhile, and what is there now stays. */
  dropped: SavedDefault[];
}

/** Which saved defaults go back. `refused` are lines that the kernel would not take. */
export function restorationOf(
  saved: readonly SavedDefault[],
  situation: { present: readonly Route[]; observed: Observed; refused: ReadonlySet<string> },
): Restoration {
  const { present, observed, refused } = situation;
  const result: Restoration = { restore: [], waiting: [], dropped: [] };
  const here = new Set(present.map(identityOf));
  const absent = saved.flatMap(entry => {
    const route = savedRoute(entry);
    if (route !== undefined && here.has(identityOf(route))) return [];
    const possible = route !== undefined && isInstallable(route, observed) && !refused.has(route.line);
    return [{ entry, route, possible }];
  });
  const firm = absent.filter(({ entry, possible }) => possible && entry.lapsed !== true);
  const otherUplink = present.length > 0 || firm.length > 0;
  for (const { entry, route, possible } of absent) {
    // A lapsed default is the last resort: better the uplink of before than none.
    if (route !== undefined && possible && (entry.lapsed !== true || !otherUplink))
      result.restore.push(route);
    else if (otherUplink) result.dropped.push(entry);
    else result.waiting.push(entry);
  }
  return result;
}

/**
 * Everything that leads to the uplink: the routes of others outside managed links, and the defaults that were displaced.
 * One that lapsed is the last resort: its device went down and up, and nobody has added it again yet. After it comes one
 * over which the kernel takes no pin: the pins that stand there stay, and without its pin no default is moved.
 */
export function uplinkRoutes(
  { observed, demand, refused }: { observed: Observed; demand: Demand; refused: ReadonlySet<string> },
  saved: readonly SavedDefault[],
): Route[] {
  const isManaged = (route: Route) => devicesOf(route).some(dev => demand.managedDevices.has(dev));
  const uplinks = foreignRoutes(observed).filter(route => route.table === 'main' && !isManaged(route));
  const here = new Set(uplinks.map(identityOf));
  const ranks: Route[][] = [[], [], []];
  for (const entry of saved) {
    const route = savedRoute(entry);
    if (route === undefined || here.has(identityOf(route)) || isManaged(route)) continue;
    if (!isInstallable(route, observed)) continue;
    ranks[refused.has(wayOutOf(route)) ? 2 : entry.lapsed === true ? 1 : 0]?.push(route);
  }
  for (const [rank, routes] of ranks.entries()) {
    const served = new Set(uplinks.filter(isDefault).map(({ family }) => family));
    uplinks.push(...routes.filter(({ family }) => rank === 0 || !served.has(family)));
  }
  return uplinks;
}
