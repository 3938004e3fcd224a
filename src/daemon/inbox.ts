import type { Change, Changed } from '../core/link/change.ts';
import type { LinkEvent } from '../core/link/event.ts';
import type { Links } from '../core/link/link.ts';
import { demandingLinks } from '../core/link/link-index.ts';
import type { Observed } from '../core/route/observed.ts';
import type { Settlement } from './settle.ts';

/*
 * INVARIANTS
 * 1. Changes are taken in one after the other, in the order in which they were put in.
 * 2. A change that could not be taken in, because `ip` or we failed, comes before all that were put in after it.
 * 3. Each has one answer: when the kernel was looked at after it, and no server of its links is being looked for any more.
 */

/** A change of the links that waits, and who waits for what becomes of it. */
export interface Entry {
  change: Change;
  /** The event that it comes from. */
  event?: LinkEvent;
  /** Does what the kernel is known to have show already what this tells? Missing: it depends on nothing that it tells. */
  isShown?(observed: Observed): boolean;
  /** Called when it has been taken in, before anything is done about it. */
  onTaken?(changed: Changed): void;
  onSettled?(changed: Changed, settlement: Settlement): void;
  /** It cannot be taken in, by a fault of our own. */
  onRefused?(error: unknown): void;
}

/** Everything that changes the links: events, the administrator's word, another configuration, names that resolved. */
export class Inbox {
  #waiting: Entry[] = [];
  /** Taken in, and not answered yet. */
  #unanswered: { entry: Entry; changed: Changed }[] = [];

  put(entry: Entry): void {
    this.#waiting.push(entry);
  }

  /** All that wait, the first first. */
  take(): Entry[] {
    return this.#waiting.splice(0);
  }

  putBack(entries: readonly Entry[]): void {
    this.#waiting.unshift(...entries);
  }

  /** These were taken in and settled: answers them, and earlier ones whose lookups have ended. */
  answer(taken: readonly { entry: Entry; changed: Changed }[], settlement: Settlement): void {
    const isAsking = new Set(
      demandingLinks(settlement.state.links).flatMap(({ order, asking }) => (asking === true ? order : [])),
    );
    const answerable = [...this.#unanswered, ...taken];
    const waits = ({ changed }: { changed: Changed }) =>
      changed.lookups.some(({ link }) => isAsking.has(link.order));
    this.#unanswered = answerable.filter(waits);
    for (const one of answerable)
      if (!this.#unanswered.includes(one)) one.entry.onSettled?.(one.changed, settlement);
  }
}

/** The links after all these changes. */
export function takeAll(
  entries: readonly Entry[],
  links: Links,
  moment: Parameters<Change>[1],
): { links: Links; taken: { entry: Entry; changed: Changed }[] } {
  let current = links;
  const taken = entries.map(entry => {
    const changed = entry.change(current, moment);
    current = changed.links;
    entry.onTaken?.(changed);
    return { entry, changed };
  });
  return { links: current, taken };
}
