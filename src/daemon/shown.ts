import type { LinkEvent } from '../core/link/event.ts';
import { familyOfEvent } from '../core/link/link.ts';
import { interfaceNamed, type Observed } from '../core/route/observed.ts';

/**
 * Does what the kernel is known to have show what pppd has just told? Then the monitor has kept up, and nothing need be asked
 * before the event is taken in. pppd sets the addresses before it runs ip-up, and takes them away before it runs ip-down.
 */
export function isShownIn({ interfaces, addresses }: Observed, event: LinkEvent): boolean {
  const face = interfaceNamed(interfaces, event.interface);
  const family = familyOfEvent(event);
  const isOfLink = (own: Observed['addresses'][number]) =>
    own.dev === event.interface && own.family === family;
  if (!event.name.endsWith('-up')) return face?.up !== true || !addresses.some(isOfLink);
  if (face?.up !== true || (event.ifindex !== undefined && event.ifindex !== face.ifindex)) return false;
  return addresses.some(own => isOfLink(own) && own.address === event.local);
}
