import type { Link } from './link.ts';

/*
 * Where there are thousands of links, an event changes one. What is found out about several links together is kept for as
 * long as they are the very same, so that an event costs what the links around the changed one cost, not what all of them do.
 */

/** Some of the links, in their order. The very same array again where it holds the very same links. */
export type Bucket = readonly Link[];

/** So many links are in one bucket; more are dealt out to so many. */
const few = 64;
const count = 128;

/** All links, each in one bucket. Lists of links are never changed, only replaced. */
export function bucketsOf(links: readonly Link[]): readonly Bucket[] {
  const [first] = links;
  if (first === undefined || links.length <= few) return [links];
  let buckets = known.get(links);
  if (buckets === undefined) {
    buckets = deal(links, latest.get(first) ?? []);
    known.set(links, buckets);
    latest.set(first, buckets);
  }
  return buckets;
}

const known = new WeakMap<readonly Link[], readonly Bucket[]>();
/** By the first link of the list: the list before nearly always began with it too. */
const latest = new WeakMap<Link, readonly Bucket[]>();

/** The number of the bucket, of so many, that a link is in. */
export function placeOf({ order }: Pick<Link, 'order'>, buckets: number): number {
  return (order >>> 0) % buckets;
}

/** Every bucket of before that holds just what it would hold now, and others. */
function deal(links: readonly Link[], before: readonly Bucket[]): readonly Bucket[] {
  const met = new Array<number>(count).fill(0);
  const changed = new Set<number>();
  for (const link of links) {
    const place = placeOf(link, count);
    if (before[place]?.[met[place] ?? 0] !== link) changed.add(place);
    met[place] = (met[place] ?? 0) + 1;
  }
  const anew = new Map<number, Link[]>();
  for (let place = 0; place < count; place++)
    if (changed.has(place) || before[place]?.length !== met[place]) anew.set(place, []);
  if (anew.size > 0) for (const link of links) anew.get(placeOf(link, count))?.push(link);
  return met.map((_, place) => anew.get(place) ?? before[place] ?? []);
}

/** Finds something out for every bucket, and for none twice. */
export function byBucket<T>(find: (bucket: Bucket) => T): (links: readonly Link[]) => T[] {
  const found = new WeakMap<Bucket, { value: T }>();
  return links =>
    bucketsOf(links).map(bucket => {
      let kept = found.get(bucket);
      if (kept === undefined) {
        kept = { value: find(bucket) };
        found.set(bucket, kept);
      }
      return kept.value;
    });
}

/** The links that are not the very same among others. */
export function linksNotIn(links: readonly Link[], others: readonly Link[]): Link[] {
  if (links === others) return [];
  const [buckets, otherBuckets] = [bucketsOf(links), bucketsOf(others)];
  if (buckets.length !== otherBuckets.length) {
    const there = new Set(others);
    return links.filter(link => !there.has(link));
  }
  return buckets.flatMap((bucket, i) => {
    const other = otherBuckets[i] ?? [];
    return bucket === other ? [] : bucket.filter(link => !other.includes(link));
  });
}
