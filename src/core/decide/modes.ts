import type { Profile } from '../link/profile.ts';
import { ownMetric } from '../route/own-route.ts';
import type { Family } from '../route/prefix.ts';

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
const halves: Mode['prefixes'] = { inet: ['0.0.0.0/1', '128.0.0.0/1'], inet6: ['2000::/3'] };

/** The metric of the default over a link. */
export function defaultMetric({ metric }: Profile, family: Family): number {
  return metric ?? ownMetric[family];
}

/** Every mode that a profile can name. */
export const modes: Record<Profile['default-route'], Mode> = {
  /** The how-to's: save the defaults, add ours, delete theirs. For a machine that nobody else configures. */
  replace: { displaces: true, table: 'main', prefixes: everything },
  /** Ours beside theirs, at a better metric. For machines with a DHCP client or NetworkManager. */
  metric: { displaces: false, table: 'main', prefixes: everything },
  /** Prefixes that are longer than the default and together cover it. For when the default must not be touched at all. */
  half: { displaces: false, table: 'main', prefixes: halves },
  /** Policy routing: a table of our own, asked when the main table knows nothing better than a default. Main is untouched. */
  table: { displaces: false, table: 'own', prefixes: everything },
  /** Networks, pins and proxy ARP only: site to site. */
  none: { displaces: false, table: 'main', prefixes: { inet: [], inet6: [] } },
};
