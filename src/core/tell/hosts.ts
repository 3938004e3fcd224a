import type { Link } from '../link/link.ts';
import { covers, formatPrefix, type Prefix, parsePrefix } from '../route/prefix.ts';
import type { HostRoute } from './host-route.ts';
import { nameOf } from './meaning.ts';
import type { Lan, Sites } from './sites.ts';

/** Stands for the far gateway's address on its own LAN, which nobody here knows. */
const unknownGateway = 'GATEWAY';

/** The hosts of one network, and the routes that they need. */
export interface Hosts {
  network: Prefix;
  /** The interface that they are on; absent at the far side. */
  dev?: string;
  /** Their way to the other side. */
  gateway: string;
  routes: HostRoute[];
  /** Routes that they can do without, and why. */
  needless: { destination: Prefix; why: string }[];
  /** Who is their router for everything else: DHCP option 121 has to repeat it. */
  router: string;
  notes: string[];
}

/** What hosts on one of our LANs need. */
export function hostsOnLan(
  lan: Lan,
  about: { link: Link; sites: Sites; isProxied(dev: string, address: Prefix): boolean },
): Hosts {
  const { link, sites } = about;
  const { networks, notes } = apartFrom(lan.network, sites.networks);
  const hosts: Hosts = {
    network: lan.network,
    dev: lan.dev,
    gateway: lan.address,
    routes: networks.map(destination => ({
      destination,
      gateway: lan.address,
      what: `behind ${nameOf(link)}`,
    })),
    needless: [],
    router: lan.router ?? lan.address,
    notes,
  };
  const { remote } = sites;
  if (remote === undefined || remote.family !== lan.network.family) return hosts;
  const isOnLan = covers({ outer: lan.network, inner: remote });
  const isBehind = networks.some(
    outer => covers({ outer, inner: remote }) && (!isOnLan || outer.length > lan.network.length),
  );
  if (about.isProxied(lan.dev, remote)) {
    hosts.needless.push({ destination: remote, why: 'this machine answers ARP for it' });
  } else if (!isBehind) {
    hosts.routes.push({ destination: remote, gateway: lan.address, what: `the far end of ${nameOf(link)}` });
  }
  return hosts;
}

/** What hosts on one of the networks behind the link need. */
export function hostsBehind(
  network: Prefix,
  { link, sites, gateway }: { link: Link; sites: Sites; gateway: string | undefined },
): Hosts {
  const { local, remote } = sites;
  const isInside = (inner: Prefix | undefined) => inner !== undefined && covers({ outer: network, inner });
  const given = gateway === undefined ? undefined : parsePrefix(gateway);
  const way = [given, remote].find(isInside);
  const via = way === undefined ? unknownGateway : formatPrefix(way);
  const { networks: lans, notes } = apartFrom(
    network,
    sites.lans.map(lan => lan.network),
  );
  const hosts: Hosts = { network, gateway: via, routes: [], needless: [], router: via, notes };
  if (way === undefined)
    hosts.notes.push(
      `${unknownGateway} stands for the far gateway's address on that network; give it by --gateway`,
    );
  else if (way !== given)
    hosts.notes.push(
      `${via}, the far end of the link, is in that network: taken for the far gateway's address there`,
    );
  for (const destination of lans) {
    const dev = sites.lans.find(lan => lan.network === destination)?.dev;
    hosts.routes.push({ destination, gateway: via, what: `the LAN on ${dev} of this machine` });
  }
  if (local === undefined || lans.some(outer => covers({ outer, inner: local }))) return hosts;
  if (local.family !== network.family) return hosts;
  if (isInside(local))
    hosts.notes.push(
      `${formatPrefix(local)} is in that network: its route is not needed if the far gateway answers ARP for it (proxyarp)`,
    );
  hosts.routes.push({ destination: local, gateway: via, what: `this machine's end of ${nameOf(link)}` });
  return hosts;
}

/** The networks that hosts on this one can be told about: their own needs no router. */
function apartFrom(own: Prefix, networks: readonly Prefix[]): { networks: Prefix[]; notes: string[] } {
  const isOwn = (one: Prefix) => formatPrefix(one) === formatPrefix(own);
  return {
    networks: networks.filter(one => one.family === own.family && !isOwn(one)),
    notes: networks.some(isOwn)
      ? [`${formatPrefix(own)} is on both sides of the link: no route can tell the two apart`]
      : [],
  };
}
