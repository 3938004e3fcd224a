import { ownRoute } from '../own-route.ts';
import type { Mode } from './mode.ts';

/** The how-to's: save the defaults, add ours, delete theirs. For a machine that nobody else configures. */
export const replace: Mode = {
  displaces: true,
  table: 'main',
  routes: ({ family, dev }) => [
    ownRoute(`${family === 'inet' ? 'default' : '::/0'} dev ${dev}`, {
      family,
      purpose: 'default',
      for: dev,
    }),
  ],
  rules: () => [],
};
