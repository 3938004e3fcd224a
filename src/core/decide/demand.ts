import type { Link } from '../link/link.ts';
import { demandingLinks, presentAt } from '../link/link-index.ts';
import type { Profile } from '../link/profile.ts';
import { isServerKnown } from '../link/server.ts';
import { memoize } from '../route/memoize.ts';
import { type Interface, isUp, type Observed } from '../route/observed.ts';
import { type OwnRoute, type OwnRule, ownRoute, ownTable, rulePriority } from '../route/own-route.ts';
import { type Family, families, formatPrefix, parsePrefix } from '../route/prefix.ts';
import { defaultMetric, modes } from './modes.ts';

/** A link that a profile matches, and that can carry packets or whose loss stops them. */
export interface ActiveLink {
  link: Link;
  profile: Profile;
  /** It carries nothing, and its profile says that then nothing leaves. */
  dark: boolean;
}

/** What the links ask for, before it is known what the uplinks are. */
export interface Demand {
  /** Where the links were looked for. */
  interfaces: readonly Interface[];
  /** Those that ask for anything, and can carry packets or whose loss stops them; the first in rank first. */
  active: readonly ActiveLink[];
  /** Devices of every link, up or not: a default through one of them is no uplink. */
  managedDevices: Devices;
  routes: OwnRoute[];
  rules: OwnRule[];
  /** The families whose uplink defaults are to be displaced. */
  displaces: Set<Family>;
  /** The link that has the default of a family; a lost one keeps it dark. */
  carriers: Map<Family, ActiveLink>;
}

export type Devices = Pick<ReadonlySet<string>, 'has'>;

/** What the links ask for. The link of the highest priority has the default, then one that is up, then the newest. */
export function demandOf(links: readonly Link[], observed: Observed): Demand {
  // The same links are asked about before and after a change.
  const cached = demands.get(links);
  if (cached?.interfaces === observed.interfaces) return cached.demand;
  const demand = findDemand(links, observed);
  demands.set(links, { interfaces: observed.interfaces, demand });
  return demand;
}

const demands = new WeakMap<readonly Link[], { interfaces: readonly Interface[]; demand: Demand }>();

function findDemand(links: readonly Link[], observed: Observed): Demand {
  const active = demandingLinks(links)
    .flatMap(link => activeLink(link, observed) ?? [])
    .sort(byRank);
  const demand: Demand = {
    interfaces: observed.interfaces,
    active,
    managedDevices: { has: dev => presentAt(links, dev).length > 0 },
    routes: active.flatMap(routesBeside),
    rules: [],
    displaces: new Set(),
    carriers: new Map(),
  };
  for (const family of families) {
    const candidates = active.filter(candidate => claimsDefault(candidate, family));
    const [carrier] = candidates;
    if (carrier === undefined) continue;
    demand.carriers.set(family, carrier);
    demand.routes.push(...defaultRoutes(carrier, family));
    // Captured at the first up, restored at the last down: also a link that does not carry the default holds it.
    if (candidates.some(({ profile }) => modes[profile['default-route']].displaces))
      demand.displaces.add(family);
  }
  demand.rules.push(...families.filter(family => usesOwnTable(demand, family)).flatMap(ownTableRules));
  return demand;
}

/** undefined: it carries nothing, and need not be dark for it. */
export function activeLink(link: Link, where: Pick<Demand, 'interfaces'>): ActiveLink | undefined {
  const { profile, lost, released } = link;
  if (profile === undefined || released === true) return undefined;
  const dark = lost === true || !isUp(where, link.interface);
  return dark && profile['on-loss'] !== 'block' ? undefined : { link, profile, dark };
}

function byRank(a: ActiveLink, b: ActiveLink): number {
  return (
    b.profile.priority - a.profile.priority || Number(a.dark) - Number(b.dark) || b.link.order - a.link.order
  );
}

/** Is anything routed by our own table? Then rules lead to it, whichever link it is for. */
export function usesOwnTable(demand: Pick<Demand, 'routes'>, family: Family): boolean {
  return demand.routes.some(({ route }) => route.family === family && route.table === ownTable);
}

/** The main table first, but for its default; then ours. */
function ownTableRules(family: Family): OwnRule[] {
  return [
    { family, priority: rulePriority.main, selector: 'from all lookup main suppress_prefixlength 0' },
    { family, priority: rulePriority.ours, selector: `from all lookup ${ownTable}` },
  ];
}

function claimsDefault({ link, profile }: ActiveLink, family: Family): boolean {
  if (profile['default-route'] === 'none' || link[family] === undefined) return false;
  if (!isServerKnown(link)) return false;
  return family === 'inet' || profile.ipv6 === 'route';
}

/**
 * The routes that draw everything onto the link. Where its loss is to stop traffic, each has one that leads nowhere
 * behind it: the kernel takes the first away with the link, and nothing leaks before anybody has looked.
 */
function defaultRoutes({ link, profile, dark }: ActiveLink, family: Family): OwnRoute[] {
  const mode = modes[profile['default-route']];
  const table = mode.table === 'own' ? ` table ${ownTable}` : '';
  const about = { family, for: link.interface, metric: defaultMetric(profile, family) };
  return mode.prefixes[family].flatMap(prefix => {
    if (dark) return [ownRoute(`unreachable ${prefix}${table}`, { ...about, purpose: 'block' })];
    const route = ownRoute(`${prefix} dev ${link.interface}${table}`, { ...about, purpose: 'default' });
    if (profile['on-loss'] !== 'block') return [route];
    const behind = ownRoute(`unreachable ${prefix}${table}`, {
      ...about,
      purpose: 'block',
      metric: about.metric + 1,
    });
    return [behind, route];
  });
}

/** The routes of a link beside the default. A link is never changed, only replaced: those of one that is up stay the same. */
function routesBeside({ link, dark }: ActiveLink): OwnRoute[] {
  return dark ? ipv6BlockRoutes(link) : routesWhileUp(link);
}

const routesWhileUp = memoize((link: Link) => [...networkRoutes(link), ...ipv6BlockRoutes(link)]);

function networkRoutes(link: Link): OwnRoute[] {
  const { profile } = link;
  if (profile === undefined) return [];
  const table = modes[profile['default-route']].table === 'own' ? ` table ${ownTable}` : '';
  return profile.networks.flatMap(network => {
    const prefix = parsePrefix(network);
    if (prefix === undefined || link[prefix.family] === undefined) return [];
    const words = `${formatPrefix(prefix)} dev ${link.interface}${table}`;
    return [ownRoute(words, { family: prefix.family, purpose: 'network', for: link.interface })];
  });
}

/** `unreachable 2000::/3` keeps IPv6 from leaking past an IPv4-only tunnel, without a firewall. */
function ipv6BlockRoutes(link: Link): OwnRoute[] {
  if (link.profile?.ipv6 !== 'block') return [];
  return [ownRoute('unreachable 2000::/3', { family: 'inet6', purpose: 'block', for: link.interface })];
}
