import { formatPrefix, type Prefix, parsePrefix } from '../route/prefix.ts';

/** An IPv4 route as DHCP hands it to a client. */
export interface ClasslessRoute {
  destination: Prefix;
  /** The address of a router on the client's own network, or a word that stands for one that is not known. */
  gateway: string;
}

/** The most that one option holds (RFC 2132 2). A longer one would have to be split by RFC 3396. */
const mostBytes = 255;

/** RFC 3442's option, as people and servers write it. Measured: dnsmasq 2.90 and Kea 2.2 send these bytes. */
export interface Option121 {
  /** The option's data, colon between bytes; absent while a gateway is not known. */
  bytes?: string;
  /** Why it may not arrive whole. */
  fault?: string;
  /** A line of dnsmasq.conf: see dhcp-option in dnsmasq(8). */
  dnsmasq: string;
  /** An entry of `option-data`. Kea before 2.5.5 does not know option 121 by name and takes bytes only. */
  kea: { anyVersion?: object; since26: object };
}

export function describeOption121(routes: readonly ClasslessRoute[]): Option121 {
  const bytes = encodeOption121(routes);
  const hex = bytes?.map(byte => byte.toString(16).padStart(2, '0').toUpperCase());
  const pairs = routes.map(({ destination, gateway }) => [lengthened(destination), gateway] as const);
  return {
    ...(hex === undefined ? {} : { bytes: hex.join(':') }),
    ...(bytes !== undefined && bytes.length > mostBytes
      ? {
          fault: `${bytes.length} bytes: more than the ${mostBytes} of one option, not every client puts two together`,
        }
      : {}),
    dnsmasq: `dhcp-option=121,${pairs.flat().join(',')}`,
    kea: {
      ...(hex === undefined ? {} : { anyVersion: { code: 121, 'csv-format': false, data: hex.join('') } }),
      since26: {
        name: 'classless-static-route',
        data: pairs.map(([destination, gateway]) => `${destination} - ${gateway}`).join(', '),
      },
    },
  };
}

/** For each route the width of its mask, the octets it reaches, the router. undefined: a gateway is not known. */
export function encodeOption121(routes: readonly ClasslessRoute[]): number[] | undefined {
  const bytes: number[] = [];
  for (const { destination, gateway } of routes) {
    const router = parsePrefix(gateway);
    const network = parsePrefix(lengthened(destination));
    if (router?.family !== 'inet' || network?.family !== 'inet') return undefined;
    const significant = network.address.toByteArray().slice(0, Math.ceil(network.length / 8));
    bytes.push(network.length, ...significant, ...router.address.toByteArray());
  }
  return bytes;
}

/** With its length even where `ip` leaves it out. */
function lengthened(prefix: Prefix): string {
  if (prefix.length === 0) return '0.0.0.0/0';
  const text = formatPrefix(prefix);
  return text.includes('/') ? text : `${text}/${prefix.length}`;
}
