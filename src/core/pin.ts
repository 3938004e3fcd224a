import { type Demand, usesOwnTable } from './demand.ts';
import type { Observed } from './observed.ts';
import { type OwnRoute, type OwnRule, ownRoute, ownTable, rulePriority } from './own-route.ts';
import { covers, formatPrefix, type Prefix, parseDestination, parsePrefix } from './prefix.ts';
import { alongside, devicesOf, isDefault, isOwn, type Route } from './route.ts';

/** What keeps the VPN server and the excluded networks on the uplink. */
export interface Pins {
  routes: OwnRoute[];
  rules: OwnRule[];
  /** Destinations that no uplink leads to now: they are pinned when one appears. */
  unreachable: string[];
}

/**
 * The host routes to the servers, and the routes to the excluded networks, that the links need. One is needed only where
 * the table that is wanted would otherwise send the destination into a managed link: a better route to the server, or a
 * server on the LAN, is honoured and left.
 */
export function pinsOf(demand: Demand, uplinks: readonly Route[], observed: Observed): Pins {
  const pins: Pins = { routes: [], rules: [], unreachable: [] };
  const seen = new Set<string>();
  const through = throughLinks(demand, observed);
  // A network that covers a part of the LAN must not take the uplink's gateway with it.
  const gateways = uplinks
    .filter(isDefault)
    .flatMap(({ nexthops }) => nexthops.flatMap(({ via }) => via ?? []));
  for (const { link, profile } of demand.active) {
    for (const destination of [...gateways, ...link.servers, ...profile.exclude]) {
      const prefix = parsePrefix(destination);
      if (prefix === undefined || seen.has(formatPrefix(prefix))) continue;
      seen.add(formatPrefix(prefix));
      const { family } = prefix;
      const dst = prefix.length === 0 ? destination : formatPrefix(prefix);
      const uplink = longestMatch(uplinks, prefix);
      const captured = longestMatch(through, prefix);
      // A gateway that is no neighbour by any route (`onlink`) needs none.
      if (gateways.includes(destination) && uplink?.nexthops[0]?.via !== undefined) continue;
      const own = usesOwnTable(demand, family);
      if (own) {
        const rule = { family, priority: rulePriority.server };
        const selector = `from all to ${dst} lookup`;
        // Another link may have displaced the very default that the main table would need.
        const displaced = uplink !== undefined && isDefault(uplink) && demand.displaces.has(family);
        if (!displaced && (captured === undefined || (uplink !== undefined && !wins(captured, uplink)))) {
          // The default alone is suppressed in the main table: a gateway is found by the LAN's route.
          if (!gateways.includes(destination)) pins.rules.push({ ...rule, selector: `${selector} main` });
          continue;
        }
        pins.rules.push({ ...rule, selector: `${selector} ${ownTable}` });
      } else if (captured === undefined || (uplink !== undefined && !wins(captured, uplink))) continue;
      if (uplink === undefined || uplink.type !== 'unicast') {
        pins.unreachable.push(destination);
        continue;
      }
      const words = alongside(uplink, `${dst}${own ? ` table ${ownTable}` : ''}`);
      pins.routes.push(ownRoute(words, { family, purpose: 'pin', for: link.interface }));
    }
  }
  return pins;
}

/** Routes of the main table that lead into managed links: those that will be ours, and those of the kernel and pppd. */
function throughLinks(demand: Demand, observed: Observed): Route[] {
  const foreign = observed.routes.filter(
    route =>
      !isOwn(route) && route.table === 'main' && devicesOf(route).some(dev => demand.managedDevices.has(dev)),
  );
  return [...demand.routes.map(({ route }) => route).filter(({ table }) => table === 'main'), ...foreign];
}

/** The route that carries all of the prefix: the longest that covers it, then the best metric. */
export function longestMatch(routes: readonly Route[], inner: Prefix): Route | undefined {
  let best: { route: Route; length: number } | undefined;
  for (const route of routes) {
    if (route.family !== inner.family) continue;
    const outer = parseDestination(route.dst, route.family);
    if (outer === undefined || !covers({ outer, inner })) continue;
    if (
      best === undefined ||
      outer.length > best.length ||
      (outer.length === best.length && route.metric < best.route.metric)
    ) {
      best = { route, length: outer.length };
    }
  }
  return best?.route;
}

/** Does the route into a link win over the one of the uplink? At one length and metric ours is asked first. */
function wins(captured: Route, uplink: Route): boolean {
  const length = (route: Route) => parseDestination(route.dst, route.family)?.length ?? 0;
  return length(captured) === length(uplink)
    ? captured.metric <= uplink.metric
    : length(captured) > length(uplink);
}
