import { everything, type Mode } from './mode.ts';

/** Policy routing: a table of our own, asked when the main table knows nothing better than a default. Main is untouched. */
export const table: Mode = {
  displaces: false,
  table: 'own',
  prefixes: everything,
};
