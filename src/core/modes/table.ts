import { ownTable, rulePriority } from '../own-route.ts';
import { everything, type Mode } from './mode.ts';

/** Policy routing: a table of our own, asked when the main table knows nothing better than a default. Main is untouched. */
export const table: Mode = {
  displaces: false,
  table: 'own',
  prefixes: everything,
  rules: family => [
    { family, priority: rulePriority.main, selector: 'from all lookup main suppress_prefixlength 0' },
    { family, priority: rulePriority.ours, selector: `from all lookup ${ownTable}` },
  ],
};
