import { memoize } from '../route/memoize.ts';
import type { Link } from './link.ts';

/*
 * Where there are thousands of links, an event changes one. What is found out about several links together is kept for as
 * long as they are the very same, so that an event costs what the links around the changed one cost, not what all of them do.
 */

/** Some of the links. The very same array again where it holds the very same links. */
export type Bucket = readonly Link[];

/** So many links are in one bucket; more are dealt out to so many. */
const few = 64;
const count = 128;

/** All links, each in one bucket. Lists of links are never changed, only replaced. */
export function bucketsOf(links: readonly Link[]): readonly Bucket[] {
  if (links.length <= few) return [links];
  let buckets = known.get(links);
  if (buckets === undefined) {
    buckets = deal(links);
    known.set(links, buckets);
  }
  return buckets;
}

const known = new WeakMap<readonly Link[], readonly Bucket[]>();

/** The number of the bucket, of so many, that a link is in. */
export function placeOf({ order }: Pick<Link, 'order'>, buckets: number): number {
  return (order >>> 0) % buckets;
}

function deal(links: readonly Link[]): readonly Bucket[] {
  const buckets = Array.from({ length: count }, (): Link[] => []);
  for (const link of links) buckets[placeOf(link, count)]?.push(link);
  return buckets;
}

/**
 * The links without some of them, and others behind them. Those that stay are not even looked into: to fetch thousands from
 * memory is what takes the time.
 */
export function linksAfter(
  links: readonly Link[],
  { gone, come }: { gone: readonly Link[]; come: readonly Link[] },
): Link[] {
  const after = [...links];
  for (const link of gone) {
    const at = after.indexOf(link);
    if (at >= 0) after.splice(at, 1);
  }
  after.push(...come);
  if (links.length <= few || after.length <= few) return after;
  const buckets = [...bucketsOf(links)];
  const change = (link: Link, changed: (bucket: Bucket) => Bucket) => {
    const place = placeOf(link, count);
    buckets[place] = changed(buckets[place] ?? []);
  };
  for (const link of gone) change(link, bucket => bucket.filter(other => other !== link));
  for (const link of come) change(link, bucket => [...bucket, link]);
  known.set(after, buckets);
  return after;
}

/** Finds something out for every bucket, and for none twice. */
export function byBucket<T>(find: (bucket: Bucket) => T): (links: readonly Link[]) => T[] {
  const findOnce = memoize(find);
  return links => bucketsOf(links).map(findOnce);
}

/** The links that are not the very same among others. */
export function linksNotIn(links: readonly Link[], others: readonly Link[]): Link[] {
  if (links === others) return [];
  const [buckets, otherBuckets] = [bucketsOf(links), bucketsOf(others)];
  if (buckets.length !== otherBuckets.length) {
    const there = new Set(others);
    return links.filter(link => !there.has(link));
  }
  return buckets.flatMap((bucket, i) => linksOfBucketNotIn(bucket, otherBuckets[i] ?? []));
}

function linksOfBucketNotIn(bucket: Bucket, other: Bucket): Link[] {
  if (bucket === other) return [];
  return comparisonsOf(bucket)(other);
}

/** Weak in both: each is compared with an earlier one, and none may hold on to all before it. */
const comparisonsOf = memoize((bucket: Bucket) =>
  memoize((other: Bucket) => bucket.filter(link => !other.includes(link))),
);
