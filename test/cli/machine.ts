// A machine as text: what `ip` prints of it, read as the daemon reads it.
import * as v from 'valibot';
import type { Link } from '../../src/core/link/link.ts';
import { type Profile, ProfileSchema } from '../../src/core/link/profile.ts';
import type { Observed } from '../../src/core/route/observed.ts';
import { parseRoute } from '../../src/core/route/route-line.ts';
import { parseAddress, parseInterface, parseRule } from '../../src/kernel/parse.ts';

/** Blocks of lines, as `ip -o` prints them. */
export interface Dump {
  links?: string;
  addresses?: string;
  routes?: string;
  routes6?: string;
  rules?: string;
  rules6?: string;
}

export function readDump(dump: Dump): Observed {
  return {
    interfaces: read(dump.links ?? laptopLinks, parseInterface),
    addresses: read(dump.addresses ?? laptopAddresses, parseAddress),
    routes: [
      ...read(dump.routes, line => parseRoute(line, 'inet')),
      ...read(dump.routes6, line => parseRoute(line, 'inet6')),
    ],
    rules: [
      ...read(dump.rules, line => parseRule(line, 'inet')),
      ...read(dump.rules6, line => parseRule(line, 'inet6')),
    ],
    proxyNeighbours: [],
  };
}

function read<T>(text: string | undefined, parse: (line: string) => T | undefined): T[] {
  return (text ?? '')
    .split('\n')
    .map(line => line.trim())
    .filter(Boolean)
    .map(line => {
      const parsed = parse(line);
      if (parsed === undefined) throw new Error(`not understood: ${line}`);
      return parsed;
    });
}

/** The laptop of the PPTP how-to. */
const laptopLinks = `
  1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536
  2: wlp2s0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500
  3: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500
  6: ppp0: <POINTOPOINT,MULTICAST,NOARP,UP,LOWER_UP> mtu 1496
`;
const laptopAddresses = `
  1: lo    inet 127.0.0.1/8 scope host lo
  1: lo    inet6 ::1/128 scope host
  2: wlp2s0    inet 192.168.1.100/24 brd 192.168.1.255 scope global wlp2s0
  6: ppp0    inet 10.99.0.2 peer 10.99.0.1/32 scope global ppp0
`;

/** Its table, as `ip route` printed it there. */
export const howToTable = `
  default via 192.168.1.1 dev wlp2s0  metric 302
  69.90.184.209 via 192.168.1.1 dev wlp2s0  src 192.168.1.100
  192.168.1.0/24 dev wlp2s0  proto kernel  scope link  src 192.168.1.100
  192.168.1.0/24 dev wlp2s0  proto kernel  scope link  src 192.168.1.100  metric 302
  192.168.1.100 via 127.0.0.1 dev lo  metric 302
`;

export function workLink(profile: Partial<Profile> = {}): Link {
  return {
    interface: 'ppp0',
    ifindex: 6,
    ipparam: 'work',
    order: 1,
    peerOptions: [],
    servers: ['203.0.113.5'],
    inet: { local: '10.99.0.2', remote: '10.99.0.1' },
    profile: {
      name: 'work',
      ...v.parse(ProfileSchema, { 'default-route': 'replace', server: '203.0.113.5', ...profile }),
    },
  };
}
