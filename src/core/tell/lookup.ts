import type { Observed } from '../route/observed.ts';
import { isUp } from '../route/observed.ts';
import { covers, type Prefix, parseDestination, parsePrefix } from '../route/prefix.ts';
import type { Route } from '../route/route.ts';

/** A route that covers an address. */
export interface Candidate {
  route: Route;
  /** Of its prefix, in bits. */
  length: number;
}

/**
 * The routes of one table that cover the address, best first; the first is the one the kernel takes. In its order: the
 * longest prefix, the best metric, for IPv6 the router's preference (RFC 4191), then the order they stand in
 * (fib_table_lookup() in fib_trie.c, find_rr_leaf() in ipv6/route.c). A route for one type of service is for marked packets only.
 */
export function lookUp(routes: readonly Route[], destination: Prefix): Candidate[] {
  const { family } = destination;
  return routes
    .flatMap(route => {
      if (route.family !== family || route.tos !== '0') return [];
      const outer = parseDestination(route.dst, family);
      return outer !== undefined && covers({ outer, inner: destination })
        ? [{ route, length: outer.length }]
        : [];
    })
    .sort(
      (a, b) =>
        b.length - a.length ||
        a.route.metric - b.route.metric ||
        preferenceOf(b.route) - preferenceOf(a.route),
    );
}

/** Why the better of two candidates of one table is taken. */
export function whyNot({ loser, winner }: { loser: Candidate; winner: Candidate }): string {
  if (loser.length !== winner.length) {
    return `shorter prefix: /${loser.length} says less than /${winner.length}`;
  }
  if (loser.route.metric !== winner.route.metric)
    return `worse metric: ${loser.route.metric}, and ${winner.route.metric} is lower`;
  if (preferenceOf(loser.route) !== preferenceOf(winner.route)) return 'lower router preference';
  return 'same prefix and metric, but it stands further down';
}

function preferenceOf({ family, attributes }: Route): number {
  if (family === 'inet') return 0;
  if (attributes.includes('pref high')) return 1;
  return attributes.includes('pref low') ? -1 : 0;
}

/** What the kernel's own table `local` says of an address, from the addresses that it is made of. */
export interface LocalMatch {
  kind: 'own' | 'broadcast' | 'multicast';
  dev: string;
}

/** Is the address this machine's own, or one that everybody on a network listens to? See table local in ip-route(8). */
export function findLocal(observed: Observed, destination: Prefix): LocalMatch | undefined {
  for (const { dev, family, address, peer, length } of observed.addresses) {
    if (family !== destination.family || !isUp(observed, dev)) continue;
    const own = parsePrefix(address);
    if (own !== undefined && covers({ outer: own, inner: destination })) return { kind: 'own', dev };
    const network = parsePrefix(`${peer ?? address}/${length}`);
    if (network === undefined || !covers({ outer: network, inner: destination })) continue;
    if (dev === 'lo' && family === 'inet') return { kind: 'own', dev };
    if (family === 'inet' && length < 31 && isLastOf(network, destination)) return { kind: 'broadcast', dev };
  }
  if (destination.family !== 'inet6' || destination.address.toByteArray()[0] !== 0xff) return undefined;
  const dev = observed.interfaces.find(({ name, up }) => up && name !== 'lo')?.name;
  return dev === undefined ? undefined : { kind: 'multicast', dev };
}

/** Are all the bits that the prefix leaves open ones? */
function isLastOf(network: Prefix, { address }: Prefix): boolean {
  return address.toByteArray().every((byte, i) => {
    const open = 0xff >> Math.min(8, Math.max(0, network.length - i * 8));
    return (byte & open) === open;
  });
}
