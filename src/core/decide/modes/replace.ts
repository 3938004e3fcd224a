import { everything, type Mode } from './mode.ts';

/** The how-to's: save the defaults, add ours, delete theirs. For a machine that nobody else configures. */
export const replace: Mode = { displaces: true, table: 'main', prefixes: everything };
