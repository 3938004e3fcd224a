import type { OwnRoute, OwnRule } from '../own-route.ts';
import type { Family } from '../prefix.ts';

/** The link that carries the default of a family. */
export interface Carrier {
  family: Family;
  dev: string;
}

/** A default-route mode: what draws traffic onto the link. */
export interface Mode {
  /** Are the uplink defaults of the main table saved and taken away while the link is up? */
  displaces: boolean;
  /** The table that the routes of the link go to. */
  table: 'main' | 'own';
  routes(carrier: Carrier): OwnRoute[];
  rules(carrier: Carrier): OwnRule[];
}
