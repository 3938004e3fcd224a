import type { Link } from './link.ts';
import { type Prefix, parsePrefix } from './prefix.ts';
import { type State, savedRoute } from './state.ts';

/**
 * Where it matters which route leads there: the links' servers, what their profiles exclude, and the gateways of the
 * saved defaults. The gateways of those that are in the table are known from it.
 */
export function destinationsOf(state: State): Prefix[] {
  const gateways = state.savedDefaults.flatMap(entry =>
    (savedRoute(entry)?.nexthops ?? []).flatMap(({ via }) =>
      via === undefined ? [] : (parsePrefix(via) ?? []),
    ),
  );
  const destinations: Prefix[] = gateways;
  for (const link of state.links) destinations.push(...destinationsOfLink(link));
  return destinations;
}

const known = new WeakMap<Link, Prefix[]>();

/** A link is never changed, only replaced: what was found once holds. */
function destinationsOfLink(link: Link): Prefix[] {
  let found = known.get(link);
  if (found === undefined) {
    found = [...link.servers, ...(link.profile?.exclude ?? [])].flatMap(text => parsePrefix(text) ?? []);
    known.set(link, found);
  }
  return found;
}
