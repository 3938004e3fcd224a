import { covers, type Family, parseDestination } from './prefix.ts';
import type { Route } from './route.ts';

/**
 * The order in which `ip route show` prints routes, less than 0 if the first comes first. IPv4: the leaves of the trie by
 * address, then fib_find_alias()'s order: the longer prefix, the higher TOS, the lower metric. IPv6: fib6_walk() leaves a
 * node of the tree after its children, so that the longer prefix comes first and the default last.
 */
export function compareRoutes(a: Route, b: Route): number {
  return (
    familyRank[a.family] - familyRank[b.family] ||
    compareText(tableRank(a), tableRank(b)) ||
    (a.family === 'inet6' ? compareNesting(a, b) : 0) ||
    compareText(addressOf(a), addressOf(b)) ||
    lengthOf(b) - lengthOf(a) ||
    Number(b.tos) - Number(a.tos) ||
    a.metric - b.metric
  );
}

const familyRank: Record<Family, number> = { inet: 0, inet6: 1 };

/** The main table is asked for first. */
function tableRank({ table }: Route): string {
  return table === 'main' ? '' : table;
}

function compareNesting(a: Route, b: Route): number {
  const first = parseDestination(a.dst, a.family);
  const second = parseDestination(b.dst, b.family);
  if (first === undefined || second === undefined || first.length === second.length) return 0;
  if (covers({ outer: first, inner: second })) return 1;
  return covers({ outer: second, inner: first }) ? -1 : 0;
}

/** The bytes of the address, as text that compares as they do. */
function addressOf(route: Route): string {
  const bytes = parseDestination(route.dst, route.family)?.address.toByteArray() ?? [];
  return bytes.map(byte => byte.toString(16).padStart(2, '0')).join('');
}

function lengthOf(route: Route): number {
  return parseDestination(route.dst, route.family)?.length ?? 0;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
