import type { Link } from '../link/link.ts';
import { memoize } from '../route/memoize.ts';
import { foreignRoutes, type Observed } from '../route/observed.ts';
import { type OwnRoute, type OwnRule, ownRoute, ownTable, rulePriority } from '../route/own-route.ts';
import { formatPrefix, type Prefix, parseDestination, parsePrefix } from '../route/prefix.ts';
import { alongside, devicesOf, isDefault, type Route, wayOutOf } from '../route/route.ts';
import { RouteIndex } from '../route/route-index.ts';
import { type Demand, usesOwnTable } from './demand.ts';

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
  const wayOut = new RouteIndex(uplinks);
  // A network that covers a part of the LAN must not take the uplink's gateway with it.
  const gateways = uplinks
    .filter(isDefault)
    .flatMap(({ nexthops }) => nexthops.flatMap(({ via }) => via ?? []));
  const keep = (link: Link, destinations: readonly string[]) => {
    for (const destination of destinations) {
      const prefix = parsePrefix(destination);
      if (prefix === undefined || seen.has(formatPrefix(prefix))) continue;
      seen.add(formatPrefix(prefix));
      const { family } = prefix;
      const dst = prefix.length === 0 ? destination : formatPrefix(prefix);
      const uplink = wayOut.longestMatch(prefix);
      const captured = through(prefix);
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
      const over = wayOutOf(uplink);
      pins.routes.push(ownRoute(words, { family, purpose: 'pin', for: link.interface, over }));
    }
  };
  const [first] = demand.active;
  if (first !== undefined) keep(first.link, gateways);
  for (const { link, profile } of demand.active) {
    keep(link, link.servers);
    keep(link, profile.exclude);
  }
  return pins;
}

/**
 * Which route of the main table leads a prefix into a managed link: one of those that will be ours, or of the kernel's and
 * pppd's.
 */
function throughLinks(demand: Demand, observed: Observed): (prefix: Prefix) => Route | undefined {
  const own = ownIndex(demand);
  const foreign = new RouteIndex(
    foreignRoutes(observed).filter(
      route => route.table === 'main' && devicesOf(route).some(dev => demand.managedDevices.has(dev)),
    ),
  );
  return prefix => {
    const first = own.longestMatch(prefix);
    const second = foreign.longestMatch(prefix);
    if (first === undefined || second === undefined) return first ?? second;
    return lengthOf(second) > lengthOf(first) ||
      (lengthOf(second) === lengthOf(first) && second.metric < first.metric)
      ? second
      : first;
  };
}

const ownIndex = memoize(
  ({ routes }: Demand) =>
    new RouteIndex(routes.flatMap(({ route }) => (route.table === 'main' ? route : []))),
);

function lengthOf(route: Route): number {
  return parseDestination(route.dst, route.family)?.length ?? 0;
}

/** Does the route into a link win over the one of the uplink? At one length and metric ours is asked first. */
function wins(captured: Route, uplink: Route): boolean {
  return lengthOf(captured) === lengthOf(uplink)
    ? captured.metric <= uplink.metric
    : lengthOf(captured) > lengthOf(uplink);
}
