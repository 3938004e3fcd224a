import type { Interface } from '../route/observed.ts';
import { families } from '../route/prefix.ts';
import { linksAfter } from './bucket.ts';
import {
  type Applied,
  type Arrival,
  afterEnd,
  applyEvent,
  hasLost,
  type Link,
  withoutFamily,
} from './link.ts';
import type { Profile } from './profile.ts';
import { isServerKnown, serversAfter } from './server.ts';

/** What the daemon found out about a link, beside what pppd says of it. */
export interface Findings {
  servers: string[];
  unresolved: string[];
  profile: Profile | undefined;
}

/**
 * The links after an event, each with all that is known of it. Without findings (the configuration could not be read) a link
 * keeps what it has. `isLetGo`: the administrator asked for the uplink after the event, and before it was taken in.
 */
export function absorbEvent(
  links: readonly Link[],
  happening: Arrival & { findings: Findings | undefined; isLetGo?: boolean },
  interfaces: readonly Interface[],
): Applied {
  const { event, findings, isLetGo = false } = happening;
  const applied = applyEvent(links, happening, interfaces);
  const isUp = event.name.endsWith('-up') && applied.outcome !== 'stale';
  if (!isUp || applied.link === undefined) return applied;
  const link: Link = { ...applied.link, ...findings, ...(isLetGo && { released: true }) };
  const isEarlier = (other: Link) => other.ifindex === link.ifindex || isLostOf(other, link);
  if (findings !== undefined) link.servers = serversAfter(findings, link, () => links.filter(isEarlier));
  const known = linksAfter(applied.links, { gone: [applied.link], come: [link] });
  return { ...applied, link, links: hasLost(links) ? endDark(known, link) : known };
}

/**
 * The dark since the loss of a link is over when another of its profile takes the default, in the families that that one
 * has. One that cannot (its server is not known) leaves it dark: there would be nothing but the uplink.
 */
export function endDark(links: readonly Link[], returned: Link): Link[] {
  const over = families.filter(family => returned[family] !== undefined);
  return links.flatMap(link => {
    if (!isLostOf(link, returned)) return [link];
    // One that keeps nothing dark is not kept beside the next.
    if (!isServerKnown(returned)) return isServerKnown(link) ? [link] : [];
    return over.reduce((left, family) => left.flatMap(one => withoutFamily(one, family)), [link]);
  });
}

function isLostOf(link: Link, { profile }: Link): boolean {
  return link.lost === true && link.profile?.name === profile?.name;
}

/**
 * The links that may be acted for while the state cannot be written: those on disk that are still there. Where one that is
 * not on disk has come instead of one that was to stay dark, it cannot carry anything yet, and it is dark for as long;
 * unless the administrator let it go.
 */
export function linksOnDisk(links: readonly Link[], onDisk: readonly Link[]): Link[] {
  const known = new Set(onDisk.map(({ order }) => order));
  const come = links.filter(({ order, released }) => !known.has(order) && released !== true);
  const up = new Set(links.filter(({ lost }) => lost !== true).map(({ order }) => order));
  const isReplaced = ({ order, profile }: Link) =>
    !up.has(order) &&
    come.some(other => other.profile?.['on-loss'] === 'block' && other.profile.name === profile?.name);
  const dark = come.length === 0 ? [] : onDisk.filter(isReplaced).flatMap(afterEnd);
  const isDark = new Set(dark.map(({ order }) => order));
  return [...links.filter(({ order }) => known.has(order) && !isDark.has(order)), ...dark];
}

/** Above the order of every link. */
export function afterAll(links: readonly Link[]): number {
  return 1 + links.reduce((highest, link) => Math.max(highest, link.order), 0);
}
