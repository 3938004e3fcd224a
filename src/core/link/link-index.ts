import { type Interface, interfaceAt } from '../route/observed.ts';
import type { Link } from './link.ts';

/*
 * What is asked of a list of links at every event, found without going through thousands of links that are out of the
 * processor's cache by then. The list that comes after another by one link takes its index over.
 */

interface Index {
  /** Those that are not lost, by the index and by the name of their interface. */
  byInterface: Map<number | string, readonly Link[]>;
  /** In the order of the list. */
  demanding: Set<Link>;
  /** The interfaces among which all of them but `unseen` were found. */
  seenAmong: readonly Interface[] | undefined;
  unseen: Link[];
}

const indexes = new WeakMap<readonly Link[], Index>();

/** The links of a list that are not lost and have an interface of this index, or of this name. */
export function presentAt(links: readonly Link[], face: number | string): readonly Link[] {
  return indexOf(links).byInterface.get(face) ?? [];
}

/** The links of a list that a decision can depend on: their profile asks for something, or keeps traffic stopped. */
export function demandingLinks(links: readonly Link[]): readonly Link[] {
  return [...indexOf(links).demanding];
}

/** Is each that is not lost there, under its name? What was found is remembered: the next list of interfaces is compared with it. */
export function areAllAmong(links: readonly Link[], interfaces: readonly Interface[]): boolean {
  const index = indexOf(links);
  const changed = index.seenAmong === undefined ? undefined : missingFrom(index.seenAmong, interfaces);
  const unsure =
    changed === undefined
      ? links
      : [...index.unseen, ...changed.flatMap(({ ifindex }) => index.byInterface.get(ifindex) ?? [])];
  const nameOf = ({ ifindex }: Link) => interfaceAt(interfaces, ifindex)?.name;
  if (!unsure.every(link => link.lost === true || nameOf(link) === link.interface)) return false;
  index.seenAmong = interfaces;
  index.unseen = [];
  return true;
}

/** The list `after` is the list `before` without some and with others at its end. */
export function passIndex(
  before: readonly Link[],
  { after, gone, come }: { after: readonly Link[]; gone: readonly Link[]; come: readonly Link[] },
): void {
  const index = indexes.get(before);
  if (index === undefined) return;
  indexes.delete(before);
  for (const link of gone) remove(index, link);
  for (const link of come) add(index, link);
  index.unseen.push(...come);
  indexes.set(after, index);
}

function indexOf(links: readonly Link[]): Index {
  const known = indexes.get(links);
  if (known !== undefined) return known;
  const index: Index = { byInterface: new Map(), demanding: new Set(), seenAmong: undefined, unseen: [] };
  for (const link of links) add(index, link);
  indexes.set(links, index);
  return index;
}

function add({ byInterface, demanding }: Index, link: Link): void {
  if (isDemanding(link)) demanding.add(link);
  if (link.lost === true) return;
  for (const face of [link.ifindex, link.interface])
    byInterface.set(face, [...(byInterface.get(face) ?? []), link]);
}

function remove(index: Index, link: Link): void {
  index.demanding.delete(link);
  index.unseen = index.unseen.filter(one => one !== link);
  for (const face of [link.ifindex, link.interface]) {
    const left = (index.byInterface.get(face) ?? []).filter(one => one !== link);
    if (left.length > 0) index.byInterface.set(face, left);
    else index.byInterface.delete(face);
  }
}

function isDemanding({ profile, servers, unresolved = [], asking, lost }: Link): boolean {
  if (lost === true || asking === true) return true;
  return (
    profile !== undefined &&
    (profile['default-route'] !== 'none' ||
      profile.ipv6 === 'block' ||
      profile['proxy-arp'] !== 'off' ||
      profile.networks.length > 0 ||
      profile.exclude.length > 0 ||
      servers.length > 0 ||
      unresolved.length > 0)
  );
}

/** Those of one list that another does not have. The lists are mostly alike, and in one order. */
function missingFrom(before: readonly Interface[], after: readonly Interface[]): Interface[] {
  let next = 0;
  return before.filter(face => {
    const other = after[next];
    if (other === face || other?.ifindex === face.ifindex) next++;
    return other !== face;
  });
}
