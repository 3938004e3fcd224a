import ipaddr from 'ipaddr.js';
import { memoizeText } from './memoize.ts';

export type Family = 'inet' | 'inet6';

export const families = ['inet', 'inet6'] as const satisfies Family[];

/** The length of a prefix that is one address, in bits. */
export const widest: Record<Family, number> = { inet: 32, inet6: 128 };

/** A prefix in the kernel's sense: an address and how many of its leading bits count. */
export interface Prefix {
  family: Family;
  address: ipaddr.IPv4 | ipaddr.IPv6;
  length: number;
}

/** The family of an address as text, undefined if it is none. Zones (`fe80::1%eth0`) are not accepted. */
export const familyOf = memoizeText((text: string): Family | undefined => {
  if (text.includes('%')) return undefined;
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return 'inet';
  return text.includes(':') && ipaddr.IPv6.isValid(text) ? 'inet6' : undefined;
});

/** `10.0.0.0/8`, `10.1.2.3` or `2001:db8::/32` as `ip` prints them; undefined if it is neither. Host bits may be set. */
export const parsePrefix = memoizeText(readPrefix);

function readPrefix(text: string): Prefix | undefined {
  const [address = '', length, rest] = text.split('/');
  const family = familyOf(address);
  if (family === undefined || rest !== undefined) return undefined;
  if (length !== undefined && !/^\d{1,3}$/.test(length)) return undefined;
  const bits = length === undefined ? widest[family] : Number(length);
  return bits > widest[family] ? undefined : { family, address: ipaddr.parse(address), length: bits };
}

/** A destination as `ip route` prints it: `default` is the prefix of length 0 of the family it stands in. */
export function parseDestination(text: string, family: Family): Prefix | undefined {
  return parsePrefix(text === 'default' ? (family === 'inet' ? '0.0.0.0/0' : '::/0') : text);
}

/** Does the outer prefix cover all of the inner one? */
export function covers(cover: { outer: Prefix; inner: Prefix }): boolean {
  const { outer, inner } = cover;
  if (outer.family !== inner.family || outer.length > inner.length) return false;
  return inner.address.match(outer.address, outer.length);
}

/** The prefix in the text `ip` prints: host bits cleared, no length on a host route, `default` for length 0. */
export function formatPrefix(prefix: Prefix): string {
  if (prefix.length === 0) return 'default';
  const bytes = prefix.address.toByteArray().map((byte, i) => {
    const bits = Math.min(8, Math.max(0, prefix.length - i * 8));
    return byte & (0xff00 >> bits) & 0xff;
  });
  const network = ipaddr.fromByteArray(bytes).toString();
  return prefix.length === widest[prefix.family] ? network : `${network}/${prefix.length}`;
}
