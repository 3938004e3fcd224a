import type { Step } from '../decide/plan.ts';
import type { LinkEvent } from '../link/event.ts';
import { familyOfEvent, type Link } from '../link/link.ts';
import type { Address, Observed } from '../route/observed.ts';
import { type Family, widest } from '../route/prefix.ts';
import { devicesOf, identityOf, ownProtocol, type Route } from '../route/route.ts';
import { parseRoute } from '../route/route-line.ts';
import { compareRoutes } from '../route/table-order.ts';

/** What the kernel will have at ip-up or ipv6-up: the interface up, its addresses, and its own routes to them. */
export function afterConnect(observed: Observed, event: LinkEvent): Observed {
  const { interface: dev, local, remote } = event;
  const family = familyOfEvent(event);
  const connected = withInterface(observed, dev);
  const isThere = ({ address, peer }: Address) => address === local && (peer ?? local) === (remote ?? local);
  if (local === undefined || connected.addresses.some(own => own.dev === dev && isThere(own)))
    return connected;
  const address: Address = {
    dev,
    family,
    address: local,
    length: widest[family],
    ...(remote === undefined || remote === local ? {} : { peer: remote }),
  };
  const withAddress = { ...connected, addresses: [...connected.addresses, address] };
  return routesOf(address).reduce((current, route) => insert(current, route, 'last'), withAddress);
}

/** What the kernel will have when pppd runs ip-down: the addresses are gone, and the interface is down with the last family. */
export function afterDisconnect(observed: Observed, event: LinkEvent, link: Link | undefined): Observed {
  const dev = event.interface;
  const family = familyOfEvent(event);
  const stays = (family === 'inet' ? link?.inet6 : link?.inet) !== undefined;
  const isLost = (one: { family: Family }) => !stays || one.family === family;
  return {
    ...observed,
    interfaces: observed.interfaces.map(face =>
      face.name === dev && !stays ? { ...face, up: false } : face,
    ),
    addresses: observed.addresses.filter(address => address.dev !== dev || !isLost(address)),
    // With its last IPv4 address a device loses all routes: fib_disable_ip(). IPv6 only loses the addresses' own.
    routes: observed.routes.filter(
      route =>
        !devicesOf(route).includes(dev) ||
        !isLost(route) ||
        (stays && family === 'inet6' && route.protocol !== 'kernel'),
    ),
  };
}

/** What the kernel will have after a step: fib_table_insert() and fib_table_delete(), as far as our own steps need them. */
export function afterStep(observed: Observed, step: Step): Observed {
  switch (step.kind) {
    case 'add-route': {
      // `ip -6 route add` refuses a second route of one metric, whatever it leads to: fib6_add_rt2node() under NLM_F_EXCL.
      if (
        step.route.family === 'inet6' &&
        observed.routes.some(other => compareRoutes(other, step.route) === 0)
      )
        return observed;
      const isPrepended = step.route.family === 'inet' && step.purpose !== 'restore';
      return insert(observed, step.route, isPrepended ? 'first' : 'last');
    }
    case 'delete-route': {
      const gone = identityOf(step.route);
      return { ...observed, routes: observed.routes.filter(route => identityOf(route) !== gone) };
    }
    case 'add-rule':
      return { ...observed, rules: [...observed.rules, { ...step.rule, protocol: ownProtocol.number }] };
    case 'delete-rule': {
      const { family, priority, selector } = step.rule;
      return {
        ...observed,
        rules: observed.rules.filter(
          rule => rule.family !== family || rule.priority !== priority || rule.selector !== selector,
        ),
      };
    }
    case 'add-proxy': {
      const added = { ...step.neighbour, protocol: ownProtocol.number };
      return { ...observed, proxyNeighbours: [...observed.proxyNeighbours, added] };
    }
    case 'delete-proxy': {
      const { address, dev } = step.neighbour;
      return {
        ...observed,
        proxyNeighbours: observed.proxyNeighbours.filter(
          neighbour => neighbour.address !== address || neighbour.dev !== dev,
        ),
      };
    }
  }
}

function withInterface(observed: Observed, name: string): Observed {
  const { interfaces, forwarding } = observed;
  if (interfaces.some(face => face.name === name)) {
    const up = interfaces.map(face => (face.name === name ? { ...face, up: true } : face));
    return { ...observed, interfaces: up };
  }
  const ifindex = 1 + Math.max(0, ...interfaces.map(face => face.ifindex));
  return {
    ...observed,
    interfaces: [...interfaces, { name, ifindex, up: true }],
    // A new interface forwards if net.ipv4.conf.default says so.
    ...(forwarding?.has('default') ? { forwarding: new Set([...forwarding, name]) } : {}),
  };
}

/** The kernel's own routes of a point-to-point address: fib_add_ifaddr() and addrconf's. */
function routesOf({ family, dev, address, peer }: Address): Route[] {
  const lines =
    family === 'inet'
      ? [peer && `${peer} dev ${dev} proto kernel scope link src ${address}`]
      : [address, peer].map(end => end && `${end} dev ${dev} proto kernel metric 256 pref medium`);
  return lines.flatMap(line => (line === undefined ? [] : (parseRoute(line, family) ?? [])));
}

/** The route in its place in the table; of those of one key, before or after the others. */
function insert(observed: Observed, route: Route, place: 'first' | 'last'): Observed {
  const shown = asShown(route);
  const at = observed.routes.findIndex(other => compareRoutes(other, shown) > (place === 'first' ? -1 : 0));
  const routes = [...observed.routes];
  routes.splice(at < 0 ? routes.length : at, 0, shown);
  return { ...observed, routes };
}

/** The route as the kernel will show it: with what it sets when nobody says. */
function asShown(route: Route): Route {
  const { family, line, nexthops, type } = route;
  const says = (word: string) => route.attributes.some(attribute => attribute.startsWith(`${word} `));
  const isDirect = type === 'unicast' && route.nexthopId === undefined;
  const added =
    family === 'inet'
      ? [isDirect && !says('scope') && nexthops.every(({ via }) => via === undefined) && 'scope link']
      : [type !== 'unicast' && nexthops.length === 0 && 'dev lo', !says('pref') && 'pref medium'];
  return parseRoute([line, ...added.filter(Boolean)].join(' '), family) ?? route;
}
