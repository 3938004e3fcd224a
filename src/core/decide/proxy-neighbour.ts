import type { Observed } from '../route/observed.ts';
import { covers, parsePrefix } from '../route/prefix.ts';
import type { Demand } from './demand.ts';
import type { Wanted } from './plan.ts';

/** The far ends that the machine answers ARP for, and why it does not for others. */
export interface ProxyNeighbours {
  neighbours: Wanted['proxyNeighbours'];
  troubles: string[];
}

/** For every link with `proxy-arp`, the far end on the LAN: see `ip neighbour add proxy` in ip-neighbour(8). */
export function proxyNeighboursOf(demand: Demand, observed: Observed): ProxyNeighbours {
  const found: ProxyNeighbours = { neighbours: [], troubles: [] };
  for (const { link, profile, dark } of demand.active) {
    const remote = link.inet?.remote;
    const setting = profile['proxy-arp'];
    if (setting === 'off' || remote === undefined || dark) continue;
    const dev = setting === 'auto' ? lanOf(remote, demand, observed) : setting;
    if (dev === undefined) {
      found.troubles.push(
        `${link.interface}: no LAN has ${remote} in its prefix, so nobody there would ask for it; proxy-arp is not in force`,
      );
      continue;
    }
    found.troubles.push(
      ...forwardingTroubles(observed, [
        [dev, `${link.interface}: ${dev} does not forward, so it does not answer ARP for ${remote}`],
        [link.interface, `${link.interface}: it does not forward, so what ${remote} sends ends here`],
      ]),
    );
    found.neighbours.push({ family: 'inet', address: remote, dev });
  }
  return found;
}

/** An interface that does not forward, if the kernel was asked, and the command that has it forward. */
function forwardingTroubles(
  { forwarding }: Observed,
  sayings: readonly (readonly [dev: string, saying: string])[],
): string[] {
  return sayings.flatMap(([dev, saying]) =>
    forwarding?.has(dev) === false ? [`${saying}: ${forwardingCommand(dev)}`] : [],
  );
}

/** Has an interface forward IPv4; sysctl(8) wants a slash for a dot that is in a name. */
export function forwardingCommand(dev: string): string {
  return `sysctl net.ipv4.conf.${dev.replaceAll('.', '/')}.forwarding=1`;
}

/** The interface whose prefix holds the address; the longest prefix, if several do. Links of ours are no LANs. */
function lanOf(address: string, demand: Demand, observed: Observed): string | undefined {
  const inner = parsePrefix(address);
  if (inner === undefined) return undefined;
  return observed.addresses
    .filter(({ dev, peer }) => peer === undefined && !demand.managedDevices.has(dev))
    .flatMap(own => {
      const outer = parsePrefix(`${own.address}/${own.length}`);
      return outer !== undefined && covers({ outer, inner }) ? [{ dev: own.dev, length: own.length }] : [];
    })
    .sort((a, b) => b.length - a.length)[0]?.dev;
}
