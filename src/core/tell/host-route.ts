import { formatPrefix, type Prefix } from '../route/prefix.ts';
import { maskOf } from './table.ts';

/** A route that another machine needs. */
export interface HostRoute {
  destination: Prefix;
  /** The next router as that machine sees it, or a word that stands for one that is not known. */
  gateway: string;
  /** What is there, in words. */
  what: string;
}

/** The same route as an administrator types it. */
export interface Spellings {
  /** ip-route(8) */
  ip: string;
  /** route(8) of net-tools */
  route: string;
  /** ROUTE of Windows; `-p`: it is there after a restart too */
  windows: string;
}

export function spell({ destination, gateway }: HostRoute): Spellings {
  const prefix = formatPrefix(destination);
  const [network = prefix] = prefix.split('/');
  if (destination.family === 'inet6') {
    return {
      ip: `ip -6 route add ${prefix} via ${gateway}`,
      route: `route -A inet6 add ${prefix} gw ${gateway}`,
      windows: `route -p add ${network}/${destination.length} ${gateway}`,
    };
  }
  const mask = maskOf(destination.length);
  const isHost = destination.length === 32;
  return {
    ip: `ip route add ${prefix} via ${gateway}`,
    route: isHost
      ? `route add -host ${network} gw ${gateway}`
      : `route add -net ${network} netmask ${mask} gw ${gateway}`,
    windows: `route -p add ${network} mask ${mask} ${gateway}`,
  };
}
