import { type Interface, interfaceAt, interfaceNamed } from '../route/observed.ts';
import type { Family } from '../route/prefix.ts';
import type { LinkEvent } from './event.ts';
import { areAllAmong, demandingLinks, passIndex, presentAt } from './link-index.ts';
import { type Profile, profileFor, type Traits } from './profile.ts';

/** The addresses of one family on a link. */
export interface Ends {
  local?: string | undefined;
  remote?: string | undefined;
}

/** A PPP interface that pppd brought up. */
export interface Link extends Traits {
  /** Tells two links of one name apart: a persistent pppd takes the same name, pid and addresses again. */
  ifindex: number;
  pid?: number | undefined;
  /** What the configuration wants of it; undefined: left alone. Remembered, so that a broken file changes nothing. */
  profile?: Profile | undefined;
  /** Set while that family is up. */
  inet?: Ends | undefined;
  inet6?: Ends | undefined;
  /** The higher, the later it came up. */
  order: number;
  /** Lines of the peers file that name a server, and the command lines of pptp processes (`process …`). */
  peerOptions: string[];
  /** Addresses of the VPN server, as far as they are known. */
  servers: string[];
  /** Names of servers that have no address yet; a default over this link could loop the tunnel through itself. */
  unresolved?: string[] | undefined;
  /** It is gone, and its profile says that traffic stops until it returns: `ifindex` is history. */
  lost?: boolean | undefined;
  /** The admin took the routes off this link; it is left alone until it comes up anew. */
  released?: boolean | undefined;
  /** Its server is being looked for: what is not known yet is no fault. */
  asking?: boolean | undefined;
}

/** Links and lists of them are never changed, only replaced: what is derived from one can be memoized. */
export interface Links {
  /** Those that a profile matches, and those that are lost and stop traffic until they return. */
  links: readonly Link[];
  /** Those that no profile matches: recorded, left alone, and seen by no decision. */
  others: readonly Link[];
}

/** What became of an event. `stale`: it is about a link that is no more, or not yet. */
export type Outcome = 'up' | 'down' | 'repeated' | 'stale';

export interface Applied {
  links: Links;
  outcome: Outcome;
  link?: Link;
  /** Why, if the event changed nothing. */
  because?: string;
}

/** An event, its place among all events (the links that came up are told by it which is the newest), and its profile. */
export interface Arrival {
  event: LinkEvent;
  /** Above the order of every link there is. */
  arrival: number;
  /** undefined: the configuration could not be read, and the link keeps the profile it has. */
  profiles: readonly Profile[] | undefined;
  /** Names of interfaces that went while their link was up: pppd runs ip-down after that, at every hang-up. */
  gone?: ReadonlySet<string> | undefined;
}

/** The links after an event. `interfaces` is what the kernel has: an event is a hint to look, the kernel decides. */
export function applyEvent(known: Links, arrival: Arrival, interfaces: readonly Interface[]): Applied {
  const { event } = arrival;
  const face = interfaceNamed(interfaces, event.interface);
  return event.name.endsWith('-up') ? applyUp(known, arrival, face) : applyDown(known, arrival, face);
}

/** The family whose coming or going an event tells. */
export function familyOfEvent({ name }: LinkEvent): Family {
  return name.startsWith('ipv6-') ? 'inet6' : 'inet';
}

function applyUp(links: Links, { event, arrival, profiles }: Arrival, face: Interface | undefined): Applied {
  const family = familyOfEvent(event);
  const unchanged = (because: string): Applied => ({ links, outcome: 'stale', because });
  // pppd runs ip-up even if the link went away while ip-pre-up was running.
  if (face === undefined) return unchanged(`there is no interface ${event.interface}`);
  if (event.ifindex !== undefined && event.ifindex !== face.ifindex) {
    return unchanged(`${event.interface} is another interface by now`);
  }
  const gone = presentLinks(links, [face.ifindex, event.interface]);
  const known = gone.find(one => one.ifindex === face.ifindex);
  const ends: Ends = { local: event.local, remote: event.remote };
  // IPv6 comes later on a link that is up already; only where it is all that the link has, it is the link that comes up.
  const isLetGo = known?.released === true && family === 'inet6' && known.inet !== undefined;
  const link: Link = {
    interface: event.interface,
    ifindex: face.ifindex,
    ipparam: event.ipparam,
    linkname: event.linkname,
    peername: event.peername,
    call: event.call,
    manager: event.manager,
    pid: event.pid,
    profile: profiles === undefined ? known?.profile : profileFor(profiles, event),
    inet: known?.inet,
    inet6: known?.inet6,
    [family]: ends,
    order: known === undefined || (known.released === true && !isLetGo) ? arrival : known.order,
    peerOptions: event.peerOptions.length > 0 ? event.peerOptions : (known?.peerOptions ?? []),
    servers: known?.servers ?? [],
    unresolved: known?.unresolved,
    ...(isLetGo && { released: true }),
  };
  const isSame = known !== undefined && (known.released !== true || isLetGo) && sameText(known, link);
  return { links: replaceLinks(links, { gone, come: [link] }), outcome: isSame ? 'repeated' : 'up', link };
}

function applyDown(links: Links, { event, gone }: Arrival, face: Interface | undefined): Applied {
  const family = familyOfEvent(event);
  const unchanged = (because: string): Applied => ({ links, outcome: 'stale', because });
  const [link] = presentLinks(links, [event.interface]);
  if (link === undefined && gone?.has(event.interface) === true)
    return { links, outcome: 'repeated', because: 'the interface went before, and the link was ended then' };
  if (link === undefined) return unchanged(`${event.interface} was not up`);
  if (event.pid !== undefined && link.pid !== undefined && event.pid !== link.pid) {
    return unchanged(`${event.interface} belongs to another pppd by now`);
  }
  const rest: Link = { ...link, [family]: undefined };
  const stillUp = face?.ifindex === link.ifindex && face.up && (rest.inet ?? rest.inet6) !== undefined;
  const left = stillUp
    ? [rest, ...withoutFamily(link, otherFamily[family]).flatMap(afterEnd)]
    : afterEnd(link);
  const after = replaceLinks(links, { gone: [link], come: left });
  return { links: { ...after, links: mergeLost(after.links) }, outcome: 'down', link };
}

/** Those that are not lost and have one of these interfaces, by index or name: the managed first. */
function presentLinks({ links, others }: Links, faces: readonly (number | string)[]): Link[] {
  return [...new Set([links, others].flatMap(list => faces.flatMap(face => presentAt(list, face))))];
}

/** Takes links out and puts others in: managed where a profile matches them. A list that stays the same is the very same. */
export function replaceLinks(
  { links, others }: Links,
  { gone, come }: { gone: readonly Link[]; come: readonly Link[] },
): Links {
  const replace = (list: readonly Link[], added: readonly Link[]) => {
    const removed = gone.filter(link => list.includes(link));
    if (removed.length + added.length === 0) return list;
    const after = [...list, ...added];
    for (const link of removed) after.splice(after.indexOf(link), 1);
    passIndex(list, { after, gone: removed, come: added });
    return after;
  };
  return {
    links: replace(
      links,
      come.filter(({ profile }) => profile !== undefined),
    ),
    others: replace(
      others,
      come.filter(({ profile }) => profile === undefined),
    ),
  };
}

/** What is left of a link that ended: nothing, or the order to stay dark until it returns. */
export function afterEnd(link: Link): Link[] {
  const { profile } = link;
  if (profile?.['on-loss'] !== 'block' || profile['default-route'] === 'none' || link.released === true)
    return [];
  return [{ ...link, lost: true, asking: undefined }];
}

/** The links whose interface is there, under its present name. By index: a successor may already have the name. */
export function dropVanished(
  links: readonly Link[],
  interfaces: readonly Interface[],
): { links: readonly Link[]; vanished: readonly Link[] } {
  if (areAllAmong(links, interfaces)) return { links, vanished: [] };
  const faceOf = (link: Link) => interfaceAt(interfaces, link.ifindex);
  const vanished = links.filter(link => link.lost !== true && faceOf(link) === undefined);
  const kept = links.flatMap(link => {
    const face = faceOf(link);
    if (link.lost === true || face?.name === link.interface) return [link];
    return face === undefined ? afterEnd(link) : [{ ...link, interface: face.name }];
  });
  return { links: mergeLost(kept), vanished };
}

const otherFamily: Record<Family, Family> = { inet: 'inet6', inet6: 'inet' };

/** What is left to stay dark for, without one family: nothing, if the profile never sent the other over the link. */
export function withoutFamily(link: Link, family: Family): Link[] {
  const rest: Link = { ...link, [family]: undefined };
  const isRouted = rest.inet !== undefined || (rest.inet6 !== undefined && rest.profile?.ipv6 === 'route');
  return isRouted ? [rest] : [];
}

/** pppd tells the end of each family by itself: what it says of one link makes one loss. */
export function mergeLost(links: readonly Link[]): readonly Link[] {
  if (!demandingLinks(links).some(link => link.lost === true)) return links;
  const lost = new Map<number, Link>();
  for (const link of links.filter(candidate => candidate.lost === true)) {
    const earlier = lost.get(link.order);
    lost.set(link.order, {
      ...link,
      inet: link.inet ?? earlier?.inet,
      inet6: link.inet6 ?? earlier?.inet6,
    });
  }
  return [...links.filter(link => link.lost !== true), ...lost.values()];
}

/** Above the order of every link. */
export function afterAll({ links, others }: Links): number {
  return 1 + [...links, ...others].reduce((highest, link) => Math.max(highest, link.order), 0);
}

function sameText(a: Link, b: Link): boolean {
  return JSON.stringify(a) === JSON.stringify({ ...b, released: a.released });
}
