import { memoize } from '../core/route/memoize.ts';
import { type Family, formatPrefix, type Prefix } from '../core/route/prefix.ts';
import type { Route } from '../core/route/route.ts';
import { RouteEntry } from './route-entry.ts';

/*
 * INVARIANTS
 * 1. A route is read when somebody asks for it: a table may have a hundred thousand that nobody ever asks for.
 * 2. Routes to one destination stand in the kernel's order: the higher TOS, the lower metric, then as they were added.
 */

/** Where a new route stands among those of its destination, TOS and metric. `alone`: there may be none. */
export type Position = 'first' | 'last' | 'alone';

/** The routes of one family that matter: the main table, and ours in any table. */
export class RouteTable {
  readonly #family: Family;
  readonly #byDestination = new Map<string, RouteEntry[]>();
  /** The entries that name a device or a preferred source, by `dev ppp0` and `src 10.0.0.1`. */
  readonly #byMention = new Map<string, Set<RouteEntry>>();
  readonly #own = new Set<RouteEntry>();
  #nexthopUsers = 0;
  /** How many entries there are of each prefix length. */
  readonly #lengths = new Map<number, number>();

  constructor(family: Family) {
    this.#family = family;
  }

  /**
   * A route was added.
   * @returns true if the table is another now; 'doubt' where the line does not tell what became of another route of the
   * same destination, TOS and metric: it may stand beside it or have replaced it.
   */
  add(line: string, position: Position): boolean | 'doubt' {
    const entry = RouteEntry.of(line, this.#family);
    if (entry === undefined) return false;
    // In another table it matters if it took the place of one of ours.
    if (!isKept(entry)) return position === 'alone' && this.#peersOf(entry).length > 0 ? 'doubt' : false;
    const isThere = this.#twinOf(entry) !== undefined;
    // Others may have been replaced, also by one that was there.
    if (position === 'alone' && this.#peersOf(entry).length > (isThere ? 1 : 0)) return 'doubt';
    if (isThere) return false;
    this.#insert(entry, position);
    return true;
  }

  /** A route was deleted. @returns true if the table is another now; 'doubt' where it may have been a part of another. */
  delete(line: string): boolean | 'doubt' {
    const entry = RouteEntry.of(line, this.#family);
    if (entry === undefined || !isKept(entry)) return false;
    const found = this.#twinOf(entry);
    if (found !== undefined) this.#remove(found);
    else if (this.#peersOf(entry).length > 0) return 'doubt';
    return found !== undefined;
  }

  /**
   * Routes that name a device or a preferred source went away without a word.
   * @returns true if there were any; 'doubt' where one has other nexthops too, which stay.
   */
  forget(mention: `dev ${string}` | `src ${string}`): boolean | 'doubt' {
    const entries = [...(this.#byMention.get(mention) ?? [])];
    if (entries.some(({ usesNexthopObject, text }) => usesNexthopObject || /\bnexthop /.test(text)))
      return 'doubt';
    for (const entry of entries) this.#remove(entry);
    return entries.length > 0;
  }

  /** What is other than these lines of a reading say; undefined if nothing is. */
  differenceFrom(lines: readonly string[]): string | undefined {
    const found = new Set<RouteEntry>();
    const places = new Map<RouteEntry, number>();
    const last = new Map<string, number>();
    for (const entries of this.#byDestination.values())
      if (entries.length > 1) for (const [place, entry] of entries.entries()) places.set(entry, place);
    for (const line of lines) {
      const entry = RouteEntry.of(line, this.#family);
      if (entry === undefined || !isKept(entry)) continue;
      const known = this.#twinOf(entry);
      if (known === undefined) return `${line.trim()} was not known`;
      // Ours of the main table are read twice.
      if (found.has(known)) continue;
      found.add(known);
      const place = places.get(known) ?? 0;
      const key = `${known.destination} ${known.table}`;
      if (place < (last.get(key) ?? 0)) return `${line.trim()} has another place`;
      if (place > 0) last.set(key, place);
    }
    for (const entries of this.#byDestination.values())
      for (const entry of entries) if (!found.has(entry)) return `${entry.text.trim()} is not there`;
    return undefined;
  }

  /** Does any route use a nexthop object (ip-nexthop(8)), whose end takes the route away without a word? */
  get usesNexthopObjects(): boolean {
    return this.#nexthopUsers > 0;
  }

  /** Does any route through a device have an MTU of its own? */
  hasMtuThrough(dev: string): boolean {
    return [...(this.#byMention.get(`dev ${dev}`) ?? [])].some(({ text }) => / mtu /.test(text));
  }

  get own(): Route[] {
    return routesOf(this.#own);
  }

  /** The main table's routes to everywhere, in their order. */
  get defaults(): Route[] {
    return routesOf(this.#at('default')).filter(({ table }) => table === 'main');
  }

  /** Every route to a prefix that covers all of the given one. */
  covering(inner: Prefix): Route[] {
    const found: Route[] = [];
    const wider = widerThan(inner);
    for (const length of this.#lengths.keys()) {
      if (length > inner.length) continue;
      let destination = wider.get(length);
      if (destination === undefined) {
        destination = formatPrefix({ ...inner, length });
        wider.set(length, destination);
      }
      const entries = this.#byDestination.get(destination);
      if (entries !== undefined) found.push(...routesOf(entries));
    }
    return found;
  }

  #at(destination: string): readonly RouteEntry[] {
    return this.#byDestination.get(destination) ?? [];
  }

  /** The very route, if it is here. */
  #twinOf(entry: RouteEntry): RouteEntry | undefined {
    const there = this.#at(entry.destination);
    const [mention] = entry.mentions;
    const mentioning =
      mention === undefined ? undefined : (this.#byMention.get(mention) ?? new Set<RouteEntry>());
    // Thousands of interfaces have a route to fe80::/64 each, and one interface may have a hundred thousand routes.
    const candidates = mentioning !== undefined && mentioning.size < there.length ? mentioning : there;
    for (const candidate of candidates) if (candidate.isSameAs(entry)) return candidate;
    return undefined;
  }

  #peersOf({ destination, table, tos, metric }: RouteEntry): RouteEntry[] {
    return this.#at(destination).filter(
      peer => peer.table === table && peer.tos === tos && peer.metric === metric,
    );
  }

  #insert(entry: RouteEntry, position: Position): void {
    const others = this.#byDestination.get(entry.destination) ?? [];
    const order = (other: RouteEntry) => entry.tos - other.tos || other.metric - entry.metric;
    const before = others.findLastIndex(other =>
      position === 'first' ? order(other) < 0 : order(other) <= 0,
    );
    others.splice(before + 1, 0, entry);
    this.#byDestination.set(entry.destination, others);
    for (const mention of entry.mentions) {
      const mentioning = this.#byMention.get(mention) ?? new Set();
      this.#byMention.set(mention, mentioning.add(entry));
    }
    if (entry.isOwn) this.#own.add(entry);
    if (entry.usesNexthopObject) this.#nexthopUsers++;
    this.#lengths.set(entry.length, (this.#lengths.get(entry.length) ?? 0) + 1);
  }

  #remove(entry: RouteEntry): void {
    const others = this.#at(entry.destination).filter(other => other !== entry);
    if (others.length > 0) this.#byDestination.set(entry.destination, others);
    else this.#byDestination.delete(entry.destination);
    for (const mention of entry.mentions) {
      const mentioning = this.#byMention.get(mention);
      mentioning?.delete(entry);
      if (mentioning?.size === 0) this.#byMention.delete(mention);
    }
    this.#own.delete(entry);
    if (entry.usesNexthopObject) this.#nexthopUsers--;
    const left = (this.#lengths.get(entry.length) ?? 0) - 1;
    if (left > 0) this.#lengths.set(entry.length, left);
    else this.#lengths.delete(entry.length);
  }
}

/** The prefixes that cover one, as text by their length, as far as they were asked for: the same are asked for at every look. */
const widerThan = memoize((_inner: Prefix) => new Map<number, string>());

function isKept({ table, isOwn }: RouteEntry): boolean {
  return table === 'main' || isOwn;
}

function routesOf(entries: Iterable<RouteEntry>): Route[] {
  const routes: Route[] = [];
  for (const { route } of entries) if (route !== undefined) routes.push(route);
  return routes;
}
