import * as v from 'valibot';
import { LinkSchema, SavedDefaultSchema } from '../link/state.ts';
import type { Observed } from '../route/observed.ts';

/** What the daemon says of itself to ppp-routectl. */
export const SnapshotSchema = v.object({
  /** The one line of `systemctl status`. */
  status: v.string(),
  /** Something is not as the configuration asks; `troubles` says what. */
  degraded: v.boolean(),
  troubles: v.array(v.string()),
  /** What is as it is configured, and yet may surprise. */
  warnings: v.array(v.string()),
  links: v.array(v.object({ ...LinkSchema.entries, says: v.string() })),
  savedDefaults: v.array(SavedDefaultSchema),
});
export type Snapshot = v.InferOutput<typeof SnapshotSchema>;

const family = v.picklist(['inet', 'inet6']);

const RouteSchema = v.object({
  family,
  type: v.string(),
  dst: v.string(),
  table: v.string(),
  protocol: v.string(),
  metric: v.number(),
  tos: v.string(),
  source: v.exactOptional(v.string()),
  nexthops: v.array(
    v.object({
      via: v.exactOptional(v.string()),
      dev: v.exactOptional(v.string()),
      options: v.array(v.string()),
    }),
  ),
  attributes: v.array(v.string()),
  line: v.string(),
  unrestorable: v.exactOptional(v.string()),
});

const ObservedSchema: v.GenericSchema<unknown, Observed> = v.object({
  interfaces: v.array(v.object({ ifindex: v.number(), name: v.string(), up: v.boolean() })),
  addresses: v.array(
    v.object({
      dev: v.string(),
      family,
      address: v.string(),
      length: v.number(),
      peer: v.exactOptional(v.string()),
    }),
  ),
  routes: v.array(RouteSchema),
  rules: v.array(v.object({ family, priority: v.number(), protocol: v.string(), selector: v.string() })),
  proxyNeighbours: v.array(v.object({ family, address: v.string(), dev: v.string(), protocol: v.string() })),
});

/** A snapshot with the kernel's routes of the same moment. */
export const SightSchema = v.object({ ...SnapshotSchema.entries, observed: ObservedSchema });
export type Sight = v.InferOutput<typeof SightSchema>;
