import type { Mode } from './mode.ts';
import { replace } from './replace.ts';

/** Ours beside theirs, at a better metric. For machines with a DHCP client or NetworkManager. */
export const metric: Mode = { ...replace, displaces: false };
