import type { Link } from '../link/link.ts';
import { demandingLinks } from '../link/link-index.ts';
import { type State, savedRoute } from '../link/state.ts';
import { memoize } from '../route/memoize.ts';
import { type Prefix, parsePrefix } from '../route/prefix.ts';
import { gatewaysOf } from '../route/route.ts';

/**
 * Where it matters which route leads there: the links' servers, what their profiles exclude, and the gateways of the
 * saved defaults. The gateways of those that are in the table are known from it.
 */
export function destinationsOf(state: State): Prefix[] {
  const saved = state.savedDefaults.flatMap(entry => savedRoute(entry) ?? []);
  return [...saved.flatMap(gatewaysOf), ...destinationsOfLinks(state.links)];
}

const destinationsOfLinks = memoize((links: readonly Link[]) =>
  demandingLinks(links).flatMap(destinationsOfLink),
);

const destinationsOfLink = memoize(({ servers, profile }: Link) =>
  [...servers, ...(profile?.exclude ?? [])].flatMap(text => parsePrefix(text) ?? []),
);
