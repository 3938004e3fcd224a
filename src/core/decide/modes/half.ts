import type { Mode } from './mode.ts';

/** Prefixes that are longer than the default and together cover it. For when the default must not be touched at all. */
export const half: Mode = {
  displaces: false,
  table: 'main',
  prefixes: { inet: ['0.0.0.0/1', '128.0.0.0/1'], inet6: ['2000::/3'] },
};
