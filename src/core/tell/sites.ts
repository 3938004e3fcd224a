import { uplinkDefaults } from '../decide/uplink.ts';
import type { Link } from '../link/link.ts';
import { savedRoute } from '../link/state.ts';
import { isUp } from '../route/observed.ts';
import { covers, formatPrefix, type Prefix, parsePrefix, widest } from '../route/prefix.ts';
import type { Route } from '../route/route.ts';
import type { Surroundings } from './meaning.ts';

/** A network that this machine is on, with hosts beside it. */
export interface Lan {
  dev: string;
  network: Prefix;
  /** This machine's address there. */
  address: string;
  /** The router that this machine's own default goes by, if it is on this network. */
  router?: string;
}

/** Both sides of a link. */
export interface Sites {
  lans: Lan[];
  /** Networks that are no LAN of ours as far as can be told: the default leaves there, and hosts are elsewhere. */
  outside: Lan[];
  /** What is behind the far end. */
  networks: Prefix[];
  /** The ends of the link, IPv4. */
  local?: Prefix | undefined;
  remote?: Prefix | undefined;
}

/** @param lan the interface to look at; without it, those that the default does not leave by, or all if it leaves by all. */
export function sitesOf(link: Link, sight: Surroundings, lan?: string): Sites {
  const every = lansOf(sight);
  const chosen = every.filter(({ dev, router }) =>
    lan === undefined ? router === undefined || isProxied(dev, sight) : dev === lan,
  );
  const lans = chosen.length > 0 || lan !== undefined ? chosen : every;
  const prefixOf = (address: string | undefined) =>
    address === undefined ? undefined : parsePrefix(address);
  return {
    lans,
    outside: lan === undefined ? every.filter(one => !lans.includes(one)) : [],
    networks: (link.profile?.networks ?? []).flatMap(network => parsePrefix(network) ?? []),
    local: prefixOf(link.inet?.local),
    remote: prefixOf(link.inet?.remote),
  };
}

/** Where packets stay on one host or one cable: no network that a route leads to. */
const narrow = ['127.0.0.0/8', '169.254.0.0/16', '::1', 'fe80::/10'].flatMap(text => parsePrefix(text) ?? []);

function lansOf({ links, savedDefaults, observed }: Surroundings): Lan[] {
  const devices = new Set(links.map(link => link.interface));
  const defaults = [
    ...uplinkDefaults(observed, devices, 'inet'),
    ...uplinkDefaults(observed, devices, 'inet6'),
    ...savedDefaults.flatMap(entry => savedRoute(entry) ?? []),
  ];
  const lans = observed.addresses.flatMap(({ dev, address, length, peer, family }): Lan[] => {
    const network = parsePrefix(`${address}/${length}`);
    if (network === undefined || peer !== undefined || length >= widest[family]) return [];
    if (devices.has(dev) || !isUp(observed, dev)) return [];
    if (narrow.some(outer => covers({ outer, inner: network }))) return [];
    const router = routerOn(dev, network, defaults);
    return [{ dev, network, address, ...(router === undefined ? {} : { router }) }];
  });
  // One line for a network: of its addresses the first, which is the kernel's primary one.
  const first = new Map<string, Lan>();
  for (const lan of lans) {
    const key = `${lan.dev} ${formatPrefix(lan.network)}`;
    if (!first.has(key)) first.set(key, lan);
  }
  return [...first.values()];
}

function routerOn(dev: string, network: Prefix, defaults: readonly Route[]): string | undefined {
  const hops = defaults.flatMap(({ nexthops }) => nexthops.filter(hop => hop.dev === dev));
  return hops
    .flatMap(({ via }) => via ?? [])
    .find(via => {
      const inner = parsePrefix(via);
      return (
        inner?.family === network.family && (network.family === 'inet6' || covers({ outer: network, inner }))
      );
    });
}

function isProxied(dev: string, { observed }: Surroundings): boolean {
  return observed.proxyNeighbours.some(neighbour => neighbour.dev === dev);
}
