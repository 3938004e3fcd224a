import { type Family, parseDestination, widest } from '../route/prefix.ts';
import type { Nexthop, Route } from '../route/route.ts';
import { type Meaning, readMeanings, type Surroundings, titleOf } from './meaning.ts';

/** One line of a route table in the columns of `route -n` (route(8)). A further gateway of one route has a row of its own. */
export interface Row {
  destination: string;
  gateway: string;
  /** IPv6 has none: the length stands with the destination. */
  genmask?: string;
  flags: string;
  metric: number;
  iface: string;
  route: Route;
  /** Absent in the rows of further gateways. */
  meaning?: Meaning;
}

export interface Section {
  family: Family;
  table: string;
  title: string;
  rows: Row[];
}

/** The letters of the Flags column. */
export const flagWords = {
  U: 'the route is up',
  G: 'goes by a gateway',
  H: 'leads to one host',
  '!': 'packets are refused',
} as const;

/** The tables of an observation, IPv4 first, as a person reads them. */
export function readTables(surroundings: Surroundings): Section[] {
  const meaningOf = readMeanings(surroundings);
  const sections = new Map<string, Section>();
  for (const route of surroundings.observed.routes) {
    const { family, table } = route;
    const key = `${family} ${table}`;
    const title = `${family === 'inet' ? 'IPv4' : 'IPv6'}, ${titleOf(table)}`;
    const section = sections.get(key) ?? { family, table, title, rows: [] };
    sections.set(key, section);
    section.rows.push(...rowsOf(route, meaningOf(route)));
  }
  return [...sections.values()];
}

function rowsOf(route: Route, meaning: Meaning): Row[] {
  const [first = { options: [] }, ...further] = route.nexthops;
  return [{ ...rowOf(route, first), meaning }, ...further.map(hop => rowOf(route, hop))];
}

function rowOf(route: Route, hop: Nexthop): Row {
  const { family, dst, type, metric } = route;
  const prefix = parseDestination(dst, family);
  const length = prefix?.length ?? 0;
  const isHost = length === widest[family];
  const isRefused = type !== 'unicast';
  const gateway = hop.via?.split(' ').at(-1);
  const unset = family === 'inet' ? '0.0.0.0' : '::';
  const address = dst === 'default' ? unset : (dst.split('/')[0] ?? dst);
  return {
    destination: family === 'inet' ? address : `${address}/${length}`,
    gateway: isRefused ? '-' : (gateway ?? unset),
    ...(family === 'inet' ? { genmask: maskOf(length) } : {}),
    flags: `${isRefused ? '!' : 'U'}${gateway === undefined ? '' : 'G'}${isHost ? 'H' : ''}`,
    metric,
    iface: isRefused ? '-' : (hop.dev ?? '-'),
    route,
  };
}

/** The netmask of an IPv4 prefix of that length, dotted. */
export function maskOf(length: number): string {
  return [0, 8, 16, 24].map(start => (0xff00 >> Math.min(8, Math.max(0, length - start))) & 0xff).join('.');
}
