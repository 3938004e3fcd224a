import * as v from 'valibot';
import type { Route } from '../route/route.ts';
import { parseRoute } from '../route/route-line.ts';
import type { Link, Links } from './link.ts';
import { ProfileSchema } from './profile.ts';

const optionalText = v.optional(v.string());
const ends = v.optional(v.object({ local: optionalText, remote: optionalText }));

export const SavedDefaultSchema = v.object({
  family: v.picklist(['inet', 'inet6']),
  /** `ip route add` takes this line as it stands. */
  route: v.pipe(v.string(), v.regex(/^[ -~]+$/)),
  /** Its way out went since, or another device's took its place: the kernel may have dropped it by itself. */
  lapsed: v.optional(v.boolean()),
  /** It was there although a device of it had no IPv4 address: that there is none says nothing. */
  unnumbered: v.optional(v.boolean()),
});

export const LinkSchema = v.object({
  interface: v.string(),
  ifindex: v.pipe(v.number(), v.integer()),
  ipparam: optionalText,
  linkname: optionalText,
  peername: optionalText,
  call: optionalText,
  manager: optionalText,
  pid: v.optional(v.number()),
  profile: v.optional(v.object({ name: v.string(), ...ProfileSchema.entries })),
  inet: ends,
  inet6: ends,
  order: v.number(),
  peerOptions: v.array(v.string()),
  servers: v.array(v.string()),
  unresolved: v.optional(v.array(v.string())),
  lost: v.optional(v.boolean()),
  released: v.optional(v.boolean()),
  /** Its server is being looked for: what is not known yet is no fault. */
  asking: v.optional(v.boolean()),
});

/** What must outlive the daemon: the defaults that it displaced and the links that it knows. */
export interface State extends Links {
  bootId: string;
  savedDefaults: readonly SavedDefault[];
}
export type SavedDefault = v.InferOutput<typeof SavedDefaultSchema>;

/** A state that knows nothing: of a machine that has just booted. */
export function emptyState(bootId: string): State {
  return { bootId, savedDefaults: [], links: [], others: [] };
}

/** The saved default as a route. A line that is no route was never written by us: it is left where it is. */
export function savedRoute({ route, family }: SavedDefault): Route | undefined {
  return parseRoute(route, family);
}

/** The links of one list that another does not have, both ways. Lists are mostly alike, and grow at their ends. */
export function differenceOf(
  before: readonly Link[],
  after: readonly Link[],
): { gone: readonly Link[]; come: readonly Link[] } {
  if (before === after) return { gone: [], come: [] };
  const gone: Link[] = [];
  let kept = 0;
  for (const link of before) {
    if (after[kept] === link) kept++;
    else gone.push(link);
  }
  return { gone, come: after.slice(kept) };
}
