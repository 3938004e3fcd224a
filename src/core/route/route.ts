import { memoize } from './memoize.ts';
import { type Family, type Prefix, parsePrefix } from './prefix.ts';

/** The protocol number of all that is ours (RTA_PROTOCOL in rtnetlink(7)); the package registers the name. */
export const ownProtocol = { number: '173', name: 'ppp-routed' } as const;

export interface Nexthop {
  via?: string;
  dev?: string;
  /** onlink, weight N: what belongs to this nexthop alone. */
  options: string[];
}

/** One route as the kernel has it, read from a line of `ip -o route show`. */
export interface Route {
  family: Family;
  /** unicast, unreachable, blackhole, … */
  type: string;
  /** `default`, `10.0.0.0/8`, `203.0.113.5` */
  dst: string;
  /** `main` or the number or name of another table. */
  table: string;
  protocol: string;
  /** 0 is the best. IPv6 has no 0: the kernel makes it 1024. */
  metric: number;
  tos: string;
  source?: string;
  /** Of the nexthop object that the route uses (ip-nexthop(8)). A line names it alone, the kernel shows its nexthops too. */
  nexthopId?: string;
  nexthops: Nexthop[];
  /** All other attributes in the order printed, e.g. `mtu lock 1400`. */
  attributes: string[];
  /** The same route as arguments of `ip route add`, in the spelling of `ip route show`. */
  line: string;
  /** Why `line` would not bring this very route back, if so. */
  unrestorable?: string;
}

/** What a line leaves out where it is so. */
export const defaults = { type: 'unicast', protocol: 'boot', table: 'main' } as const;

/** Is this route ours, by its protocol number? Nothing else is ever deleted, except a saved default. */
export function isOwn(route: Pick<Route, 'protocol'>): boolean {
  return route.protocol === ownProtocol.number || route.protocol === ownProtocol.name;
}

/** Every device that the route sends packets to. */
export function devicesOf(route: Route): string[] {
  return route.nexthops.flatMap(hop => (hop.dev === undefined ? [] : [hop.dev]));
}

/** What makes two routes the same, without what the kernel sets by itself: scope, preference, `dev lo` of a refusal. */
export const identityOf = memoize((route: Route): string => {
  const { nexthopId } = route;
  const hops =
    nexthopId !== undefined
      ? `nhid ${nexthopId}`
      : route.type === defaults.type
        ? route.nexthops.map(hop => hopWords(hop).join(' ')).join(',')
        : '';
  const attributes = route.attributes.filter(a => !/^(scope|pref) /.test(a)).sort();
  const protocol = isOwn(route) ? ownProtocol.number : route.protocol;
  return [
    route.family,
    route.type,
    route.dst,
    route.table,
    protocol,
    route.metric,
    route.tos,
    route.source ?? '',
    hops,
    ...attributes,
  ].join('|');
});

/** Is it a default route that carries packets? `unreachable default` and its kind carry none. */
export function isDefault(route: Route): boolean {
  return route.dst === 'default' && route.type === defaults.type && route.table === defaults.table;
}

export function gatewaysOf({ nexthops }: Route): Prefix[] {
  return nexthops.flatMap(({ via }) => (via === undefined ? [] : (parsePrefix(via) ?? [])));
}

/** A route to another destination over the same nexthops, source and path attributes; no metric, no protocol. */
export function alongside(uplink: Route, dst: string): string {
  const { nexthopId: id } = uplink;
  const several = uplink.nexthops.length > 1;
  const [only] = uplink.nexthops;
  return [
    dst,
    ...(id === undefined ? (several || only === undefined ? [] : hopWords(only)) : ['nhid', id]),
    ...(uplink.source === undefined ? [] : ['src', uplink.source]),
    ...uplink.attributes.filter(attribute => !/^(scope|pref) /.test(attribute)),
    ...(several && id === undefined ? uplink.nexthops.flatMap(hop => ['nexthop', ...hopWords(hop)]) : []),
  ].join(' ');
}

/** Where a route leads out, whatever its destination, metric and protocol: in one text to compare. */
export function wayOutOf(route: Route): string {
  return alongside(route, 'default');
}

/** A nexthop as arguments of `ip route add`. */
export function hopWords(hop: Nexthop): string[] {
  return [
    ...(hop.via === undefined ? [] : ['via', hop.via]),
    ...(hop.dev === undefined ? [] : ['dev', hop.dev]),
    ...hop.options,
  ];
}
