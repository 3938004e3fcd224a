// What tests of the state save.
import { createHash } from 'node:crypto';
import type { Link } from '../../src/core/link/link.ts';
import type { SavedDefault } from '../../src/core/link/state.ts';

export const boot = '11111111-2222-3333-4444-555555555555';
export const otherBoot = '99999999-2222-3333-4444-555555555555';

export const saved: SavedDefault[] = [
  { family: 'inet', route: 'default via 192.168.1.1 dev wlp2s0 metric 302' },
];

export function linkOf(ifindex: number, more: Partial<Link> = {}): Link {
  return {
    interface: `ppp${ifindex}`,
    ifindex,
    pid: 1000 + ifindex,
    inet: { local: '10.99.0.2', remote: '10.99.0.1' },
    order: ifindex,
    peerOptions: [],
    servers: ['203.0.113.5'],
    ...more,
  };
}

/** The text of a file of the version before, with its checksum. */
export function textBefore(content: object): string {
  const checksum = createHash('sha256').update(JSON.stringify(content)).digest('hex');
  return `${JSON.stringify({ ...content, checksum }, undefined, 2)}\n`;
}
