import * as v from 'valibot';
import { LinkSchema, SavedDefaultSchema, savedRoute } from '../core/link/state.ts';

/** The number of the form of `state.json` and of the files in `links/`. */
export const formNumber = 2;

/** Bytes of the longest `state.json` that is read or written. */
export const mostBytes = 64 << 20;
/** Bytes of the longest file of one link. */
export const mostLinkBytes = 1 << 20;

const SavedDefaultsForm = v.array(
  v.pipe(
    SavedDefaultSchema,
    v.check(
      saved => savedRoute(saved)?.dst === 'default',
      ({ input }) => `${JSON.stringify(input.route)} is no default route`,
    ),
  ),
);

const DefaultsForm = v.object({
  /** A person may leave it out. */
  schema: v.optional(v.literal(formNumber), formNumber),
  bootId: v.string(),
  savedDefaults: SavedDefaultsForm,
});

/** `links/*.json`: one link. */
export const LinkForm = v.object({ schema: v.literal(formNumber), bootId: v.string(), link: LinkSchema });

/** Before form 2: all links in one file, or most of them in another that is named after its contents. */
export const WholeForm = v.object({
  schema: v.literal(1),
  bootId: v.string(),
  savedDefaults: SavedDefaultsForm,
  links: v.optional(v.array(LinkSchema), []),
  more: v.optional(
    v.object({
      file: v.pipe(v.string(), v.regex(/^links-[0-9a-f]{32}\.json$/)),
      gone: v.array(v.number()),
    }),
  ),
});
export type Whole = v.InferOutput<typeof WholeForm>;

/** `state.json`: the saved defaults; with the links where a person, or the version before, put it there. */
export const StateForm = v.variant('schema', [DefaultsForm, WholeForm]);
