import type { Link } from './link.ts';
import type { Observed } from './observed.ts';
import type { Wanted } from './plan.ts';
import { devicesOf, isDefault, isOwn, type Route } from './route.ts';

/**
 * Our defaults through interfaces of no link that is known, where there is no other default and none that could go back:
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
  const isKnown = (dev: string) => links.some(link => link.interface === dev);
  const defaults = observed.routes.filter(isDefault);
  return defaults.filter(route => {
    const { family } = route;
    if (!isOwn(route) || devicesOf(route).some(isKnown)) return false;
    const others = [...defaults.filter(other => !isOwn(other)), ...wanted.restore];
    const own = wanted.routes.filter(({ purpose }) => purpose === 'default');
    return ![...others, ...own.map(one => one.route)].some(other => other.family === family);
  });
}
