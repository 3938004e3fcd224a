import type { Link } from '../link/link.ts';
import { formatPrefix, type Prefix } from '../route/prefix.ts';
import type { HostRoute } from './host-route.ts';
import { type Hosts, hostsBehind, hostsOnLan } from './hosts.ts';
import { nameOf, type Surroundings } from './meaning.ts';
import { type Sites, sitesOf } from './sites.ts';

/** What hosts on both sides need to reach each other over a link. */
export interface Workstations {
  local: Hosts[];
  remote: Hosts[];
  /** Routes that the far gateway itself needs. */
  farGateway: HostRoute[];
  notes: string[];
}

export interface Question {
  link: Link;
  /** The far gateway's address on its LAN, if the administrator knows it. */
  gateway?: string | undefined;
  /** The interface of the one LAN that is asked about. */
  lan?: string | undefined;
}

export function workstationsOf({ link, gateway, lan }: Question, sight: Surroundings): Workstations {
  const sites = sitesOf(link, sight, lan);
  const isProxied = (dev: string, address: Prefix) =>
    sight.observed.proxyNeighbours.some(one => one.dev === dev && one.address === formatPrefix(address));
  return {
    local: sites.lans.map(one => hostsOnLan(one, { link, sites, isProxied })).filter(isConcerned),
    remote: sites.networks.map(one => hostsBehind(one, { link, sites, gateway })).filter(isConcerned),
    farGateway: gatewayRoutes(link, sites),
    notes: notesOn(link, sites),
  };
}

function isConcerned({ routes, needless, notes }: Hosts): boolean {
  return routes.length + needless.length + notes.length > 0;
}

/** The far gateway finds our LANs by our end of the link. */
function gatewayRoutes(link: Link, { lans, local, networks }: Sites): HostRoute[] {
  if (local === undefined || networks.length === 0) return [];
  return lans
    .filter(lan => lan.network.family === 'inet')
    .map(({ network, dev }) => ({
      destination: network,
      gateway: formatPrefix(local),
      what: `the LAN on ${dev} of this machine, by its end of ${link.interface}`,
    }));
}

function notesOn({ profile, ...link }: Link, { networks, lans, outside }: Sites): string[] {
  const name = nameOf({ ...link, profile });
  return [
    ...(networks.length === 0
      ? [
          `no network is known behind ${name}: ${profile === undefined ? 'no profile matches it' : `profile ${profile.name} has no networks`}`,
        ]
      : []),
    ...(lans.length === 0 ? ['this machine is on no LAN that hosts could be on'] : []),
    ...outside.map(
      ({ network, dev }) =>
        `${formatPrefix(network)} on ${dev} is left out, because this machine's default leaves there; if hosts on it are meant: --lan ${dev}`,
    ),
    ...(profile === undefined || profile['default-route'] === 'none'
      ? []
      : [
          `profile ${profile.name} sends everything over ${link.interface}: hosts that are to follow take this machine as their default gateway`,
        ]),
    ...(lans.length > 0
      ? ['hosts that have the gateway named here as their default gateway need no further route']
      : []),
  ];
}
