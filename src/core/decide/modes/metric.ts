import { everything, type Mode } from './mode.ts';

/** Ours beside theirs, at a better metric. For machines with a DHCP client or NetworkManager. */
export const metric: Mode = { displaces: false, table: 'main', prefixes: everything };
