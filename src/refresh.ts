import { isDeepStrictEqual } from 'node:util';
import { endDark } from './core/absorb.ts';
import type { Link } from './core/link.ts';
import type { Profile } from './core/profile.ts';
import { isServerKnown, serversAfter } from './core/server.ts';
import type { FindServers, ServerAddresses } from './rooms.ts';

/** What becomes of the links in the next reconcile. */
export type Amendment = (links: Link[]) => Link[];

/** The profile that a link is to have from now on; undefined: it stays as it is. */
export type Change = (link: Link) => { profile: Profile | undefined } | undefined;

export const noServers: ServerAddresses = { servers: [], unresolved: [] };

/** Gives links another profile, and looks the servers of those that change up. */
export async function refresh(
  links: readonly Link[],
  { change, findServers }: { change: Change; findServers: FindServers },
): Promise<Amendment> {
  const found = await Promise.all(
    links.map(async link => {
      const changed = change(link);
      if (changed === undefined) return [];
      const { profile } = changed;
      const servers = profile === undefined ? noServers : await findServers(profile, link);
      return [{ before: link, findings: { profile, ...servers } }];
    }),
  );
  const changes = new Map(found.flat().map(changed => [changed.before.order, changed]));
  const amend = (link: Link): Link => {
    const changed = changes.get(link.order);
    // Another configuration may have come while a name was looked up: then this is of yesterday.
    const isOfToday = isDeepStrictEqual(changed?.before.profile, link.profile);
    if (changed === undefined || !isOfToday) return link;
    const after = { ...link, ...changed.findings };
    // What is lost loops nothing through itself: it stays dark, whoever its server is to be.
    const before = link.lost === true ? { ...after, servers: link.servers } : link;
    return { ...after, servers: serversAfter(changed.findings, after, () => [before]) };
  };
  return current => {
    const after = current.map(amend);
    const lost = after.filter(link => link.lost === true && link.profile?.['on-loss'] === 'block');
    const present = after.filter(link => link.lost !== true);
    const isReturned = (link: Link, i: number) => link.lost !== true && isReady(link) && !isReady(current[i]);
    return lost.length === 0 ? present : [...present, ...after.filter(isReturned).reduce(endDark, lost)];
  };
}

/** What is wanted of it is known, and can be done. */
function isReady(link: Link | undefined): boolean {
  return link?.profile !== undefined && isServerKnown(link);
}
