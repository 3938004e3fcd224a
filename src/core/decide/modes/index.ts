import type { Profile } from '../../link/profile.ts';
import { half } from './half.ts';
import { metric } from './metric.ts';
import type { Mode } from './mode.ts';
import { none } from './none.ts';
import { replace } from './replace.ts';
import { table } from './table.ts';

/** Every mode that a profile can name. */
export const modes: Record<Profile['default-route'], Mode> = { replace, metric, half, table, none };
