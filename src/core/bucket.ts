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
  if (links.length <= few) return [links];
  let buckets = known.get(links);
  if (buckets === undefined) {
    buckets = deal(links).map(theSame);
    known.set(links, buckets);
  }
  return buckets;
}

/** The number of the bucket, of so many, that a link is in. */
export function placeOf({ order }: Pick<Link, 'order'>, buckets: number): number {
  return (order >>> 0) % buckets;
}

const known = new WeakMap<readonly Link[], readonly Bucket[]>();
/** By its first link: most buckets of a list were in the one before. */
const latest = new WeakMap<Link, Bucket>();
const empty: Bucket = [];

function deal(links: readonly Link[]): Bucket[] {
  const buckets = Array.from({ length: count }, (): Link[] => []);
  for (const link of links) buckets[placeOf(link, count)]?.push(link);
  return buckets;
}

/** The array of before, where it holds the same. */
function theSame(bucket: Bucket): Bucket {
  const [first] = bucket;
  if (first === undefined) return empty;
  const before = latest.get(first);
  if (before !== undefined && areSame(before, bucket)) return before;
  latest.set(first, bucket);
  return bucket;
}

function areSame(a: Bucket, b: Bucket): boolean {
  return a.length === b.length && a.every((link, i) => link === b[i]);
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
