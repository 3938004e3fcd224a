import { formatPrefix, type Prefix, parseDestination } from './prefix.ts';
import type { Route } from './route.ts';

/** Routes by destination, to find the one that carries a prefix without a look at all of them. */
export class RouteIndex {
  readonly #routes = new Map<string, Route[]>();
  readonly #lengths = new Set<number>();

  constructor(routes: Iterable<Route>) {
    for (const route of routes) {
      const length = parseDestination(route.dst, route.family)?.length;
      if (length === undefined) continue;
      this.#lengths.add(length);
      // A route has its destination in the spelling of formatPrefix().
      const key = `${route.family} ${route.dst}`;
      const others = this.#routes.get(key);
      if (others === undefined) this.#routes.set(key, [route]);
      else others.push(route);
    }
  }

  /** The route that carries all of the prefix: the longest that covers it, then the best metric, then the first. */
  longestMatch(inner: Prefix): Route | undefined {
    const lengths = [...this.#lengths].filter(length => length <= inner.length).sort((a, b) => b - a);
    for (const length of lengths) {
      const routes = this.#routes.get(keyOf({ ...inner, length }));
      if (routes !== undefined)
        return routes.reduce((best, route) => (route.metric < best.metric ? route : best));
    }
    return undefined;
  }
}

function keyOf(prefix: Prefix): string {
  return `${prefix.family} ${formatPrefix(prefix)}`;
}
