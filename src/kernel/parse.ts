import type { Address, Interface, ProxyNeighbour, Rule } from '../core/route/observed.ts';
import { type Family, familyOf, widest } from '../core/route/prefix.ts';

/** One line of `ip -o link show`: `6: ppp0: <POINTOPOINT,UP> mtu …`. */
export function parseInterface(line: string): Interface | undefined {
  const found = /^(\d{1,10}): ([^\s@:]+)(?:@[^\s:]+)?: <([^>]*)>/.exec(line);
  if (found === null) return undefined;
  const [, ifindex, name = '', flags = ''] = found;
  return { ifindex: Number(ifindex), name, up: flags.split(',').includes('UP') };
}

/**
 * One line of `ip -o address show`: `6: ppp0    inet 10.99.0.2 peer 10.99.0.1/32 scope …`. An IPv6 address that may be a
 * duplicate yet (RFC 4862, 5.4) is nobody's: no route can have it as its source, and `ip monitor` says nothing of it.
 */
export function parseAddress(line: string): Address | undefined {
  const found = /^\d+: (\S+)\s+(inet6?) ([0-9a-f.:]+)(?: peer ([0-9a-f.:]+))?(?:\/(\d+))?/.exec(line);
  if (found === null) return undefined;
  const [, dev = '', word, address = '', peer, length] = found;
  if (/^[^\\]* tentative\b/.test(line)) return undefined;
  const family = word === 'inet' ? 'inet' : 'inet6';
  return {
    dev,
    family,
    address,
    length: length === undefined ? widest[family] : Number(length),
    ...(peer === undefined ? {} : { peer }),
  };
}

/** One line of `ip -o rule show`: `17310:	from all lookup main suppress_prefixlength 0 proto 173`. */
export function parseRule(line: string, family: Family): Rule | undefined {
  const found = /^(\d{1,10}):\s+(.+?)\s*$/.exec(line);
  if (found === null) return undefined;
  const [, priority, text = ''] = found;
  const protocol = / proto (\S+)/.exec(text)?.[1] ?? 'unspec';
  return { family, priority: Number(priority), protocol, selector: text.replace(/ proto \S+/, '') };
}

/** One line of `ip -o neigh show proxy`: `10.99.0.1 dev eth0 proxy proto 173`. */
export function parseProxyNeighbour(line: string, family: Family): ProxyNeighbour | undefined {
  const found = /^(\S+) dev (\S+)\s+proxy(?:.* proto (\S+))?/.exec(line);
  if (found === null) return undefined;
  const [, address = '', dev = '', protocol = 'unspec'] = found;
  return familyOf(address) === family ? { family, address, dev, protocol } : undefined;
}

/** One line of `ip -o netconf show`: `inet eth0 forwarding on rp_filter off …`. The interface, if it forwards. */
export function parseForwarding(line: string): string | undefined {
  return /^inet (\S+) .*\bforwarding on\b/.exec(line)?.[1];
}
