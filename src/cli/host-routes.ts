import { formatPrefix, parsePrefix } from '../core/route/prefix.ts';
import { type HostRoute, spell } from '../core/tell/host-route.ts';
import type { Hosts } from '../core/tell/hosts.ts';
import { describeOption121 } from '../core/tell/option121.ts';
import type { Terminal } from './terminal.ts';

/** What the hosts of one network need, as a person reads and copies it. */
export function describeHosts(hosts: Hosts, terminal: Terminal): string[] {
  return [
    ...hosts.needless.map(({ destination, why }) => `  ${formatPrefix(destination)} needs no route: ${why}`),
    ...describeRoutes(hosts.routes, terminal),
    ...describeOption(hosts, terminal),
    ...hosts.notes.map(note => `  Note: ${note}`),
  ];
}

/** Routes in every spelling; those of Linux can be pasted with what they are for. */
export function describeRoutes(routes: readonly HostRoute[], terminal: Terminal): string[] {
  if (routes.length === 0) return [];
  const spellings = routes.map(route => ({
    ...spell(route),
    what: terminal.paint('dim', `# ${route.what}`),
  }));
  return [
    '  Linux',
    ...spellings.map(({ ip, what }) => `    ${ip}  ${what}`),
    '  Linux of old, net-tools',
    ...spellings.map(({ route }) => `    ${route}`),
    '  Windows, as administrator',
    ...spellings.map(({ windows }) => `    ${windows}`),
  ];
}

function describeOption(hosts: Hosts, terminal: Terminal): string[] {
  const routes = dhcpRoutesOf(hosts);
  if (routes.length === 0) return [];
  const { bytes, fault, dnsmasq, kea } = describeOption121(routes);
  const rows: [string, string | undefined][] = [
    ['bytes', bytes],
    ['dnsmasq', dnsmasq],
    ['Kea', kea.anyVersion && JSON.stringify(kea.anyVersion)],
    ['Kea 2.6', JSON.stringify(kea.since26)],
    ['but', fault],
  ];
  return [
    '  All by DHCP, option 121',
    terminal.paint(
      'dim',
      `    with 0.0.0.0/0 by ${hosts.router}: who gets option 121 ignores the router of option 3 (RFC 3442)`,
    ),
    ...rows.flatMap(([title, value]) => (value === undefined ? [] : [`    ${title.padEnd(9)}${value}`])),
  ];
}

/** The IPv4 routes and, because clients then look at nothing else, the default. */
function dhcpRoutesOf({
  routes,
  router,
}: Hosts): { destination: HostRoute['destination']; gateway: string }[] {
  const everything = parsePrefix('0.0.0.0/0');
  const inet = routes.filter(({ destination }) => destination.family === 'inet');
  return inet.length === 0 || everything === undefined
    ? []
    : [...inet, { destination: everything, gateway: router }];
}

/** The same for programs. */
export function jsonOfHosts(hosts: Hosts) {
  const dhcp = dhcpRoutesOf(hosts);
  return {
    ...hosts,
    network: formatPrefix(hosts.network),
    routes: jsonOfRoutes(hosts.routes),
    needless: hosts.needless.map(({ destination, why }) => ({ destination: formatPrefix(destination), why })),
    ...(dhcp.length === 0 ? {} : { option121: describeOption121(dhcp) }),
  };
}

export function jsonOfRoutes(routes: readonly HostRoute[]) {
  return routes.map(route => ({
    destination: formatPrefix(route.destination),
    gateway: route.gateway,
    what: route.what,
    ...spell(route),
  }));
}
