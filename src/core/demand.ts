import type { Link } from './link.ts';
import { modes } from './modes/index.ts';
import { isUp, type Observed } from './observed.ts';
import { type OwnRoute, type OwnRule, ownRoute, ownTable } from './own-route.ts';
import { type Family, formatPrefix, parsePrefix } from './prefix.ts';
import type { Profile } from './profile.ts';

/** A link that a profile matches and that can carry packets. */
export interface ActiveLink {
  link: Link;
  profile: Profile;
}

/** What the links ask for, before it is known what the uplinks are. */
export interface Demand {
  active: ActiveLink[];
  /** Devices of every link that a profile matches, up or not: a default through one of them is no uplink. */
  managedDevices: Set<string>;
  routes: OwnRoute[];
  rules: OwnRule[];
  /** The families whose uplink defaults are to be displaced. */
  displaces: Set<Family>;
  /** The link that carries the default of a family. */
  carriers: Map<Family, ActiveLink>;
}

export const families = ['inet', 'inet6'] as const satisfies Family[];

/** What the links that are up ask for. The link of the highest priority carries the default, then the newest. */
export function demandOf(links: readonly Link[], observed: Observed): Demand {
  const managed = links.flatMap(link =>
    link.profile === undefined ? [] : [{ link, profile: link.profile }],
  );
  const active = managed
    .filter(({ link }) => link.released !== true && isUp(observed, link.interface))
    .sort((a, b) => b.profile.priority - a.profile.priority || b.link.order - a.link.order);
  const demand: Demand = {
    active,
    managedDevices: new Set(managed.map(({ link }) => link.interface)),
    routes: active.flatMap(candidate => [...networkRoutes(candidate), ...blockRoutes(candidate)]),
    rules: [],
    displaces: new Set(),
    carriers: new Map(),
  };
  for (const family of families) {
    const candidates = active.filter(candidate => carriesDefault(candidate, family));
    const [carrier] = candidates;
    if (carrier === undefined) continue;
    const mode = modes[carrier.profile['default-route']];
    const dev = carrier.link.interface;
    demand.carriers.set(family, carrier);
    demand.routes.push(...mode.routes({ family, dev }));
    demand.rules.push(...mode.rules({ family, dev }));
    // Captured at the first up, restored at the last down: also a link that does not carry the default holds it.
    if (candidates.some(({ profile }) => modes[profile['default-route']].displaces))
      demand.displaces.add(family);
  }
  return demand;
}

function carriesDefault({ link, profile }: ActiveLink, family: Family): boolean {
  if (profile['default-route'] === 'none' || link[family] === undefined) return false;
  if ((link.unresolved ?? []).length > 0) return false;
  return family === 'inet' || profile.ipv6 === 'route';
}

function networkRoutes({ link, profile }: ActiveLink): OwnRoute[] {
  const table = modes[profile['default-route']].table === 'own' ? ` table ${ownTable}` : '';
  return profile.networks.flatMap(network => {
    const prefix = parsePrefix(network);
    if (prefix === undefined || link[prefix.family] === undefined) return [];
    const words = `${formatPrefix(prefix)} dev ${link.interface}${table}`;
    return [ownRoute(words, { family: prefix.family, purpose: 'network', for: link.interface })];
  });
}

/** `unreachable 2000::/3` keeps IPv6 from leaking past an IPv4-only tunnel, without a firewall. */
function blockRoutes({ link, profile }: ActiveLink): OwnRoute[] {
  if (profile.ipv6 !== 'block') return [];
  return [ownRoute('unreachable 2000::/3', { family: 'inet6', purpose: 'block', for: link.interface })];
}
