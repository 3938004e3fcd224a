import { linksAfter } from './bucket.ts';
import {
  type Applied,
  type Arrival,
  applyEvent,
  familyOfEvent,
  hasLost,
  type Link,
  withoutFamily,
} from './link.ts';
import type { Interface } from './observed.ts';
import type { Profile } from './profile.ts';
import { serversAfter } from './server.ts';

/** What the daemon found out about a link, beside what pppd says of it. */
export interface Findings {
  servers: string[];
  unresolved: string[];
  /** Absent where the configuration could not be read: then a link keeps what it has. */
  profile?: Profile | undefined;
}

/** The links after an event, each with all that is known of it. */
export function absorbEvent(
  links: readonly Link[],
  happening: Arrival & { findings: Findings },
  interfaces: readonly Interface[],
): Applied {
  const { event, findings } = happening;
  const applied = applyEvent(links, happening, interfaces);
  const isUp = event.name.endsWith('-up') && applied.outcome !== 'stale';
  if (!isUp || applied.link === undefined) return applied;
  const link = { ...applied.link, ...findings };
  link.servers = serversAfter(findings, link, () => links.filter(({ ifindex }) => ifindex === link.ifindex));
  const known = linksAfter(applied.links, { gone: [applied.link], come: [link] });
  const isReturned = (other: Link) => other.lost === true && other.profile?.name === link.profile?.name;
  // The dark since it was lost is over, of the family that the event is about.
  return {
    ...applied,
    link,
    links: hasLost(links)
      ? known.flatMap(other => (isReturned(other) ? withoutFamily(other, familyOfEvent(event)) : [other]))
      : known,
  };
}

/** Above the order of every link. */
export function afterAll(links: readonly Link[]): number {
  return 1 + links.reduce((highest, link) => Math.max(highest, link.order), 0);
}
