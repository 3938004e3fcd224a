import type { Mode } from './mode.ts';

/** Networks, pins and proxy ARP only: site to site. */
export const none: Mode = {
  displaces: false,
  table: 'main',
  prefixes: { inet: [], inet6: [] },
};
