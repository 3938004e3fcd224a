import type { Family } from '../../route/prefix.ts';

/** A default-route mode: what draws traffic onto the link. */
export interface Mode {
  /** Are the uplink defaults of the main table saved and taken away while the link is up? */
  displaces: boolean;
  /** The table that the routes of the link go to. */
  table: 'main' | 'own';
  /** The prefixes that are routed over the link; together they cover everything. */
  prefixes: Record<Family, readonly string[]>;
}

/** Everything. Written out for IPv6, where `default` without -6 would be IPv4's. */
export const everything: Mode['prefixes'] = { inet: ['default'], inet6: ['::/0'] };
