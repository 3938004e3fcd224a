import { ownRoute } from '../own-route.ts';
import type { Mode } from './mode.ts';

const halves = { inet: ['0.0.0.0/1', '128.0.0.0/1'], inet6: ['2000::/3'] } as const;

/** Prefixes that are longer than the default and together cover it. For when the default must not be touched at all. */
export const half: Mode = {
  displaces: false,
  table: 'main',
  routes: ({ family, dev }) =>
    halves[family].map(prefix => ownRoute(`${prefix} dev ${dev}`, { family, purpose: 'default', for: dev })),
  rules: () => [],
};
