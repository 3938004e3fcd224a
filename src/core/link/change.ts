import { isDeepStrictEqual } from 'node:util';
import { type Interface, interfaceNamed } from '../route/observed.ts';
import { families } from '../route/prefix.ts';
import type { LinkEvent } from './event.ts';
import {
  type Arrival,
  afterEnd,
  applyEvent,
  dropVanished,
  type Link,
  type Links,
  type Outcome,
  replaceLinks,
  withoutFamily,
} from './link.ts';
import { demandingLinks, presentAt } from './link-index.ts';
import { type Profile, profileFor } from './profile.ts';
import { isServerKnown, namesOf, serversAfter, wantedServers } from './server.ts';

/** What a change depends on, beside the links. */
export interface Moment {
  interfaces: readonly Interface[];
  /** undefined: the configuration could not be read yet, and links keep the profiles that they have. */
  profiles: readonly Profile[] | undefined;
  /** The inode of the network namespace that the daemon is in, if known. */
  netns?: number | undefined;
  gone?: Arrival['gone'];
}

/** The servers of a link that are to be looked for: by the names in its profile, or by what its hook can tell. */
export interface Lookup {
  link: Link;
  /** Links whose addresses hold on for as long as the very same names have no answer. */
  earlier: readonly Link[];
  /** The hook is to be asked how the link is carried. */
  asksHook: boolean;
}

/** The links after a change, and what is to be looked for now. */
export interface Changed {
  links: Links;
  lookups: readonly Lookup[];
  /** Of an event: what became of it, and of which link. */
  outcome?: Outcome;
  link?: Link;
  because?: string;
}

/** What happens to the links. Each is a pure function of them and of the moment in which it is taken in. */
export type Change = (links: Links, moment: Moment) => Changed;

/** pppd told something. `canAsk`: its hook waits, and can be asked for more. */
export function takeEvent(
  event: LinkEvent,
  { arrival, canAsk }: { arrival: number; canAsk: boolean },
): Change {
  return (links, { interfaces, profiles, netns, gone }) => {
    // A pppd in a namespace of its own runs the hooks of the machine, and its interfaces may have the names of ours.
    if (event.netns !== undefined && netns !== undefined && event.netns !== netns) {
      const because = `${event.interface} is in another network namespace (net:[${event.netns}])`;
      return { links, lookups: [], outcome: 'stale', because };
    }
    const face = interfaceNamed(interfaces, event.interface);
    const known = face === undefined ? [] : presentAt(links.links, face.ifindex);
    const demanding = demandingLinks(links.links);
    const applied = applyEvent(links, { event, arrival, profiles, gone }, interfaces);
    const { link, outcome } = applied;
    if (outcome === 'stale' || link === undefined || !event.name.endsWith('-up'))
      return { ...applied, lookups: [] };
    const before = [...known, ...demanding.filter(one => isLostOf(one, link))];
    // Without the configuration nothing is known of it but what it had.
    if (profiles === undefined) return { ...applied, lookups: [] };
    const isNews = event.name === 'ip-up' || link.peerOptions.length === 0;
    const asksHook = canAsk && link.profile?.server === 'auto' && isNews;
    const sought = seek(link, { earlier: before, asksHook });
    const placed = replaceLinks(applied.links, { gone: [link], come: [sought.link] });
    return { ...applied, link: sought.link, links: endDark(placed, sought.link), lookups: sought.lookups };
  };
}

/** The administrator asked for the uplink: every link is let go until it comes up anew. */
export const releaseLinks: Change = ({ links, others }) => {
  const present = links.filter(link => link.lost !== true);
  return { links: { links: present.map(link => ({ ...link, released: true })), others }, lookups: [] };
};

/** Another configuration: links that are up move to what it says without a gap. */
export const configureLinks: Change = ({ links, others }, { profiles }) => {
  if (profiles === undefined) return { links: { links, others }, lookups: [] };
  const lookups: Lookup[] = [];
  const configure = (link: Link): Link => {
    const profile = profileFor(profiles, link);
    if (isDeepStrictEqual(profile, link.profile)) return link;
    const sought = seek({ ...link, profile }, { earlier: [link], asksHook: false });
    lookups.push(...sought.lookups);
    return sought.link;
  };
  const after = [...links, ...others].map(configure);
  const lost = after.filter(link => link.lost === true && link.profile?.['on-loss'] === 'block');
  const present = after.filter(link => link.lost !== true);
  const changed = present.filter(link => !links.includes(link) && link.profile !== undefined);
  const all: Links = {
    links: keepIfSame(links, [...present.filter(({ profile }) => profile !== undefined), ...lost]),
    others: keepIfSame(
      others,
      present.filter(({ profile }) => profile === undefined),
    ),
  };
  return { links: changed.reduce(endDark, all), lookups };
};

/** What was looked for was found, or has no address. It is about the servers that the link has still, or about nothing. */
export function foundServers(
  { link: asked, earlier }: Lookup,
  found: { peerOptions: string[]; servers: readonly string[]; unresolved: string[] },
): Change {
  return links => {
    const current = links.links.find(
      ({ order, lost }) => order === asked.order && (lost === true) === (asked.lost === true),
    );
    if (current === undefined || namesOf(current) !== namesOf(asked)) return { links, lookups: [] };
    const { peerOptions, unresolved } = found;
    const after: Link = { ...current, peerOptions, unresolved, asking: undefined };
    // A lost link loops nothing through itself: it stays dark, whoever its server is to be.
    const known = current.lost === true ? [{ ...after, servers: current.servers }] : earlier;
    after.servers = serversAfter(found, after, known);
    if (isDeepStrictEqual(after, { ...current, asking: undefined }) && current.asking !== true)
      return { links, lookups: [] };
    return { links: endDark(replaceLinks(links, { gone: [current], come: [after] }), after), lookups: [] };
  };
}

/** Files of the state that could not be read before were read: what they hold counts where nothing newer is known. */
export function recallLinks(recalled: readonly Link[]): Change {
  return (links, moment) => {
    const known = [...links.links, ...links.others];
    const isSame = (a: Link, b: Link) =>
      a.ifindex === b.ifindex &&
      (a.lost === true) === (b.lost === true) &&
      (a.lost !== true || a.order === b.order);
    const come = dropVanished(recalled, moment.interfaces)
      .links.filter(link => !known.some(one => isSame(one, link)))
      .flatMap(link => {
        const later = links.links.filter(({ order }) => order > link.order);
        return later.reduce(endDark, { links: [link], others: [] }).links;
      });
    return configureLinks(replaceLinks(links, { gone: [], come }), moment);
  };
}

/** A lookup of every link that is meant, by the names that it has. */
export function lookupsOf(links: readonly Link[], isMeant: (link: Link) => boolean): Lookup[] {
  return links.filter(isMeant).flatMap(link => {
    const { names } = wantedServers(link);
    return names.length === 0 ? [] : [{ link, earlier: [link], asksHook: false }];
  });
}

/** A link with the servers known without a question, and the question: until it is answered earlier ones hold on. */
function seek(link: Link, { earlier, asksHook }: Omit<Lookup, 'link'>): { link: Link; lookups: Lookup[] } {
  const { addresses, names } = wantedServers(link);
  if (names.length === 0 && !asksHook)
    return { link: { ...link, servers: addresses, unresolved: [], asking: undefined }, lookups: [] };
  const known = [
    ...addresses,
    ...link.servers,
    ...serversAfter({ servers: [], unresolved: names }, link, earlier),
  ];
  const asking: Link = { ...link, servers: [...new Set(known)], unresolved: names, asking: true };
  return { link: asking, lookups: [{ link: asking, earlier, asksHook }] };
}

/** The dark after a loss ends, by family, when a link of the profile takes the default: one whose server is known. */
function endDark({ links, others }: Links, returned: Link): Links {
  if (returned.lost === true || !demandingLinks(links).some(link => isLostOf(link, returned)))
    return { links, others };
  const over = families.filter(family => returned[family] !== undefined);
  const after = links.flatMap(link => {
    if (!isLostOf(link, returned)) return [link];
    // One that keeps nothing dark is not kept beside the next.
    if (!isServerKnown(returned)) return isServerKnown(link) ? [link] : [];
    return over.reduce((left, family) => left.flatMap(one => withoutFamily(one, family)), [link]);
  });
  return { links: after, others };
}

function isLostOf(link: Link, { profile }: Link): boolean {
  return link.lost === true && profile !== undefined && link.profile?.name === profile.name;
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

function keepIfSame(before: readonly Link[], after: readonly Link[]): readonly Link[] {
  return after.length === before.length && after.every((link, i) => link === before[i]) ? before : after;
}
