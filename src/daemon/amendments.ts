import { isDeepStrictEqual } from 'node:util';
import { endDark } from '../core/link/absorb.ts';
import type { Link } from '../core/link/link.ts';
import type { Profile } from '../core/link/profile.ts';
import { isServerKnown, serversAfter } from '../core/link/server.ts';
import type { FindServers, ServerAddresses } from './rooms.ts';
import { type Settlement, uplinksOf } from './settle.ts';

/** What becomes of the links in the next reconcile. */
export type Amendment = (links: Link[]) => Link[];

/** The profile that a link is to have from now on; undefined: it stays as it is. */
export type Change = (link: Link) => { profile: Profile | undefined } | undefined;

export const noServers: ServerAddresses = { servers: [], unresolved: [] };

export interface AmendmentsOptions {
  findServers: FindServers;
  /** How long after a fault all is looked at again, in milliseconds. */
  retryAfter: number;
  /** The links of this moment. */
  links(): readonly Link[];
  /** One came by itself, and waits for a reconcile. */
  onDue(): void;
}

/** What changes links beside their events: the configuration, the administrator, another uplink, a name that resolves at last. */
export class Amendments {
  readonly #options: AmendmentsOptions;
  readonly #waiting: Amendment[] = [];
  #retry: NodeJS.Timeout | undefined;
  #uplinks: string | undefined;

  constructor(options: AmendmentsOptions) {
    this.#options = options;
  }

  add(amendment: Amendment): void {
    this.#waiting.push(amendment);
  }

  /** Adds one that gives links another profile and the servers that their names lead to now. Resolves when those are known. */
  async refresh(change: Change): Promise<void> {
    const { findServers, links } = this.#options;
    this.add(await refresh(links(), { change, findServers }));
  }

  /** The links after all that wait, which are done with. */
  applyTo(links: Link[]): Link[] {
    return this.#waiting.splice(0).reduce((current, amend) => amend(current), links);
  }

  /** To be called after each reconcile. */
  follow(settlement: Settlement | undefined, { isTroubled }: { isTroubled: boolean }): void {
    this.#scheduleRetry(isTroubled);
    this.#followUplinks(settlement);
  }

  /** None comes by itself any more. */
  close(): void {
    clearTimeout(this.#retry);
  }

  /** Whatever is wrong may come right without a word: look again by and by. */
  #scheduleRetry(isTroubled: boolean): void {
    clearTimeout(this.#retry);
    if (!isTroubled) return;
    this.#retry = setTimeout(() => {
      const isUnresolved = (link: Link) => (link.unresolved ?? []).length > 0;
      void this.#refreshByItself(link => (isUnresolved(link) ? { profile: link.profile } : undefined));
    }, this.#options.retryAfter);
  }

  /** Another uplink may know another address of a server's name. Looked up in the background: the pins there are hold. */
  #followUplinks(settlement: Settlement | undefined): void {
    const before = this.#uplinks;
    this.#uplinks = settlement && uplinksOf(settlement);
    if (before === undefined || this.#uplinks === before || this.#uplinks === '') return;
    void this.#refreshByItself(({ profile, lost }) =>
      profile !== undefined && lost !== true ? { profile } : undefined,
    );
  }

  async #refreshByItself(change: Change): Promise<void> {
    await this.refresh(change);
    this.#options.onDue();
  }
}

/** Gives links another profile, and looks the servers of those that change up. */
async function refresh(
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
