import type { Link } from '../link/link.ts';
import { isServerKnown } from '../link/server.ts';
import type { Observed } from '../route/observed.ts';
import type { Family } from '../route/prefix.ts';
import { devicesOf, isDefault, isOwn, type Route } from '../route/route.ts';
import type { Wanted } from './plan.ts';

/**
 * Our defaults through interfaces of which it is not known what is wanted of them, where there is no other default and none that could go back:
 * the state was lost. To sweep them would leave the machine without a way out.
 */
export function orphans({
  links,
  observed,
  wanted,
}: {
  links: readonly Link[];
  observed: Observed;
  wanted: Pick<Wanted, 'routes' | 'restore'>;
}): Route[] {
  const isKnown = ({ family }: Route, dev: string) =>
    links.some(link => link.interface === dev && isPlaced(link, family));
  const defaults = observed.routes.filter(isDefault);
  return defaults.filter(route => {
    const { family } = route;
    if (!isOwn(route) || devicesOf(route).some(dev => isKnown(route, dev))) return false;
    const others = [...defaults.filter(other => !isOwn(other)), ...wanted.restore];
    const own = wanted.routes.filter(({ purpose }) => purpose === 'default');
    return ![...others, ...own.map(one => one.route)].some(other => other.family === family);
  });
}

/**
 * Pins that are there, of servers to which no uplink leads: the saved default was lost. To sweep them would lead the tunnel
 * through itself.
 */
export function strandedPins({ routes }: Observed, unreachable: readonly string[]): Route[] {
  return routes.filter(route => isOwn(route) && route.table === 'main' && unreachable.includes(route.dst));
}

/** Is it known what is wanted of this link in this family? An event that tells less of it than was known is no reason to sweep. */
function isPlaced(link: Link, family: Family): boolean {
  return link.profile !== undefined && link[family] !== undefined && isServerKnown(link);
}
