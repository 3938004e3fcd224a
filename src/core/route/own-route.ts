import type { Family } from './prefix.ts';
import { ownProtocol, type Route } from './route.ts';
import { parseRoute } from './route-line.ts';

/** Why a route of ours is there. */
export type Purpose = 'default' | 'network' | 'pin' | 'block';

/** A route of ours that should be there. */
export interface OwnRoute {
  route: Route;
  purpose: Purpose;
  /** The interface of the link that it is for. */
  for: string;
  /** Of a pin: where it leads out (`wayOutOf`). */
  over?: string;
}

/** A routing rule of ours that should be there. */
export interface OwnRule {
  family: Family;
  priority: number;
  selector: string;
}

/** The metric of our routes: the best there is. In IPv6 the kernel reads 0 as 1024. */
export const ownMetric: Record<Family, number> = { inet: 0, inet6: 1 };

/** Our routing table, for mode `table`, and the priorities of the rules that lead to it, in the order they are asked. */
export const ownTable = '17300';
export const rulePriority = { server: 17300, main: 17310, ours: 17320 } as const;

/** A route of ours from the words that say where it leads, such as `193.6.37.0/24 dev ppp0`. */
export function ownRoute(
  words: string,
  about: { family: Family; purpose: Purpose; for: string; metric?: number; over?: string },
): OwnRoute {
  const { purpose, over } = about;
  const metric = about.metric ?? ownMetric[about.family];
  const line = [words, 'proto', ownProtocol.number, ...(metric === 0 ? [] : ['metric', metric])].join(' ');
  const route = parseRoute(line, about.family);
  if (route === undefined) throw new TypeError(`not a route: ${line}`);
  return { route, purpose, for: about.for, ...(over !== undefined && { over }) };
}
