import { isDeepStrictEqual } from 'node:util';
import * as v from 'valibot';
import { memoize } from '../route/memoize.ts';
import { parseRoute, type Route } from '../route/route.ts';
import { ProfileSchema } from './profile.ts';

/** The number of the state file's form. A file of another number is not read. */
export const schemaNumber = 1;

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

export const StateSchema = v.object({
  schema: v.literal(schemaNumber),
  bootId: v.string(),
  savedDefaults: v.array(SavedDefaultSchema),
  links: v.array(LinkSchema),
});

/** What must outlive the daemon: the defaults that it displaced and the links that it knows. */
export type State = v.InferOutput<typeof StateSchema>;
export type SavedDefault = State['savedDefaults'][number];

/** A state that knows nothing: of a machine that has just booted. */
export function emptyState(bootId: string): State {
  return { schema: schemaNumber, bootId, savedDefaults: [], links: [] };
}

/** The saved default as a route. A line that is no route was never written by us: it is left where it is. */
export const savedRoute = memoize((saved: SavedDefault): Route | undefined =>
  parseRoute(saved.route, saved.family),
);

/** Is there nothing to write? Links and saved defaults are replaced where they change, so that most are the very same. */
export function isSameState(a: State, b: State): boolean {
  if (a === b) return true;
  return (
    a.schema === b.schema &&
    a.bootId === b.bootId &&
    areSame(a.savedDefaults, b.savedDefaults) &&
    areSame(a.links, b.links)
  );
}

function areSame(a: readonly object[], b: readonly object[]): boolean {
  return (
    a === b || (a.length === b.length && a.every((one, i) => one === b[i] || isDeepStrictEqual(one, b[i])))
  );
}
