import type { Link } from '../link/link.ts';
import { type SavedDefault, savedRoute } from '../link/state.ts';
import type { Observed, Rule } from '../route/observed.ts';
import { ownTable } from '../route/own-route.ts';
import { type Family, formatPrefix, parsePrefix } from '../route/prefix.ts';
import { devicesOf, isDefault, isOwn, type Route } from '../route/route.ts';

/** What a route is for, as ppp-routed sees it. */
export type Role =
  | 'link-default'
  | 'link-network'
  | 'pin'
  | 'exclude'
  | 'block'
  | 'leftover'
  | 'uplink-default'
  | 'far-end'
  | 'lan'
  | 'this-machine'
  | 'foreign';

export interface Meaning {
  role: Role;
  /** One line for a person. */
  words: string;
  /** The interface of the link that it has to do with. */
  link?: string;
}

/** What the meaning of a route depends on. */
export interface Surroundings {
  links: readonly Link[];
  observed: Observed;
  savedDefaults: readonly SavedDefault[];
}

/** Says what each route of an observation is for. */
export function readMeanings(surroundings: Surroundings): (route: Route) => Meaning {
  const { links, observed } = surroundings;
  const byDevice = new Map(links.filter(({ lost }) => lost !== true).map(link => [link.interface, link]));
  const gateways = gatewaysOf(surroundings);
  const own = new Set(observed.addresses.map(({ address }) => address));
  const better = bestDefaults(observed);
  const wishes = readWishes(links);

  return route => {
    const [dev] = devicesOf(route);
    const link = dev === undefined ? undefined : byDevice.get(dev);
    if (isOwn(route)) return meaningOfOwn(route, { link, links, wishes, gateways });
    if (isDefault(route)) {
      if (link !== undefined) return defaultOfOthers(link);
      return { role: 'uplink-default', words: uplinkWords(route, better) };
    }
    if (route.type !== 'unicast')
      return { role: 'foreign', words: `packets to ${placeOf(route)} are refused` };
    if (own.has(route.dst))
      return { role: 'this-machine', words: "this machine's own address: stays inside it" };
    const wish = wishes.get(route.dst);
    if (wish?.role === 'pin' && link === undefined) {
      const words = `the VPN server of ${nameOf(wish.link)}, by a route of others: honoured and left`;
      return { role: 'foreign', words, link: wish.link.interface };
    }
    if (link !== undefined) return meaningThroughLink(route, link);
    return meaningOfPlain(route, dev);
  };
}

interface Wish {
  role: 'pin' | 'exclude' | 'link-network';
  link: Link;
}

/** What the links' profiles ask for, by destination. */
function readWishes(links: readonly Link[]): Map<string, Wish> {
  const wishes = new Map<string, Wish>();
  const add = (role: Wish['role'], link: Link, destinations: readonly string[]) => {
    for (const destination of destinations) {
      const prefix = parsePrefix(destination);
      if (prefix !== undefined) wishes.set(formatPrefix(prefix), { role, link });
    }
  };
  for (const link of links) {
    add('link-network', link, link.profile?.networks ?? []);
    add('exclude', link, link.profile?.exclude ?? []);
    add('pin', link, link.servers);
  }
  return wishes;
}

/** The gateways of the uplinks, of those whose default is displaced too. */
function gatewaysOf({ observed, savedDefaults }: Surroundings): Set<string> {
  const routes = [...observed.routes, ...savedDefaults.flatMap(saved => savedRoute(saved) ?? [])];
  return new Set(routes.flatMap(({ nexthops }) => nexthops.flatMap(({ via }) => via ?? [])));
}

interface OwnSurroundings {
  link: Link | undefined;
  links: readonly Link[];
  wishes: ReadonlyMap<string, Wish>;
  gateways: ReadonlySet<string>;
}

function meaningOfOwn(route: Route, { link, links, wishes, gateways }: OwnSurroundings): Meaning {
  if (route.type !== 'unicast') return { role: 'block', words: blockWords(route, links) };
  const wish = wishes.get(route.dst);
  if (wish?.role === 'pin' && link !== wish.link) {
    const words = `the VPN server of ${nameOf(wish.link)}: pinned to the uplink, or the tunnel would run through itself`;
    return { role: 'pin', words, link: wish.link.interface };
  }
  if (wish?.role === 'exclude' && link !== wish.link) {
    const words = `excluded by ${nameOf(wish.link)}: stays on the uplink`;
    return { role: 'exclude', words, link: wish.link.interface };
  }
  if (link === undefined && gateways.has(route.dst)) {
    return { role: 'pin', words: "the uplink's gateway: kept in reach, a network behind a link covers it" };
  }
  if (link === undefined) {
    return { role: 'leftover', words: 'a leftover of ppp-routed: swept at its next look' };
  }
  const about = { link: link.interface };
  if (wish?.role === 'link-network')
    return { role: 'link-network', words: `a network behind ${nameOf(link)}`, ...about };
  if (route.dst === 'default') {
    const words = `the default of ${nameOf(link)}: what no longer prefix covers goes through the tunnel`;
    return { role: 'link-default', words, ...about };
  }
  const words = `a part of the default of ${nameOf(link)}: longer than the uplink's, so it wins`;
  return { role: 'link-default', words, ...about };
}

function blockWords({ dst }: Route, links: readonly Link[]): string {
  const lost = links.filter(link => link.lost === true).map(nameOf);
  if (dst === '2000::/3' && links.some(({ profile }) => profile?.ipv6 === 'block'))
    return 'blocked while the link is up, so that IPv6 does not leak past the tunnel';
  if (lost.length > 0) return `blocked: ${lost.join(', ')} is lost, and nothing may leave until it returns`;
  return 'takes over should the link be lost: then nothing leaves until it returns';
}

function defaultOfOthers(link: Link): Meaning {
  return {
    role: 'foreign',
    words: `a default through ${nameOf(link)} that ppp-routed did not add (pppd's defaultroute?)`,
    link: link.interface,
  };
}

/** The first uplink default of a family, and whether ours is asked before it. */
interface Best {
  uplink?: Route;
  carrier?: string | undefined;
}

function bestDefaults({ routes }: Observed): Record<Family, Best> {
  const best: Record<Family, Best> = { inet: {}, inet6: {} };
  for (const route of routes) {
    if (isOwn(route)) {
      if (!/^(default|0\.0\.0\.0\/1|2000::\/3)$/.test(route.dst)) continue;
      best[route.family].carrier ??= route.type === 'unicast' ? devicesOf(route)[0] : 'a block of ours';
    } else if (isDefault(route)) best[route.family].uplink ??= route;
  }
  return best;
}

function uplinkWords(route: Route, best: Record<Family, Best>): string {
  const { uplink, carrier } = best[route.family];
  const [hop] = route.nexthops;
  const way =
    hop?.via === undefined
      ? `out on ${hop?.dev ?? 'its device'}`
      : `to the gateway ${hop.via.replace('inet6 ', '')}`;
  if (carrier !== undefined) return `the uplink's default: stands by, ${carrier} is asked first`;
  if (route !== uplink) return 'another default of the uplink: stands by with a worse metric';
  return `the uplink's default: what no other line covers goes ${way}`;
}

function meaningThroughLink(route: Route, link: Link): Meaning {
  const isFarEnd = route.dst === link.inet?.remote || route.dst === link.inet6?.remote;
  return isFarEnd || route.protocol === 'kernel'
    ? { role: 'far-end', words: `the far end of ${nameOf(link)}`, link: link.interface }
    : { role: 'foreign', words: `a route of others through ${nameOf(link)}`, link: link.interface };
}

function meaningOfPlain(route: Route, dev: string | undefined): Meaning {
  if (dev === 'lo') return { role: 'this-machine', words: 'stays inside this machine' };
  const hop = route.nexthops.find(({ via }) => via !== undefined);
  if (hop !== undefined) {
    const gateway = hop.via?.replace('inet6 ', '');
    return { role: 'foreign', words: `a route of others: ${placeOf(route)} by the gateway ${gateway}` };
  }
  if (/^(fe80::\/64|ff00::\/8)$/.test(route.dst))
    return { role: 'lan', words: `neighbours on ${dev}, by link-local address` };
  if (route.protocol === 'kernel')
    return { role: 'lan', words: `the network on ${dev}: reached directly, without a gateway` };
  return { role: 'foreign', words: `a route of others: ${placeOf(route)} directly on ${dev}` };
}

function placeOf({ dst }: Route): string {
  return dst === 'default'
    ? 'every other address'
    : dst.includes('/')
      ? `the network ${dst}`
      : `the host ${dst}`;
}

/** A link with the profile that it has. */
export function nameOf(link: Pick<Link, 'interface' | 'profile'>): string {
  return link.profile === undefined ? link.interface : `${link.interface} (${link.profile.name})`;
}

/** A table as a person knows it. */
export function titleOf(table: string): string {
  return table === ownTable ? `table ${ownTable}, ppp-routed's own` : `table ${table}`;
}

/** What a rule of ours is for. */
export function wordsOfRule({ selector }: Rule): string {
  if (selector.includes(' suppress_prefixlength 0')) return 'the main table first, for all but its default';
  if (selector.startsWith('from all to '))
    return 'the VPN server or an excluded network: never into the tunnel';
  return "what is left goes by the link's own table";
}
