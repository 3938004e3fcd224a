import type { Changed } from '../core/link/change.ts';
import { isServerKnown } from '../core/link/server.ts';
import { linksLine } from '../core/tell/status.ts';
import { failureLines } from './health.ts';
import type { Settlement } from './settle.ts';

/** An answer to a hook: docs/wire.md. */
export type Reply =
  | { ok: true; text: string }
  | { ok: false; code: 'ROUTE' | 'SERVER'; text: string }
  /** `saved` resolves when what the event changed is in the store. */
  | { ok: false; code: 'STATE'; text: string; saved: Promise<void> };

/** What there is to say to an event that was taken in, after the look at the kernel that followed. */
export function replyTo(
  { outcome, link, because }: Changed,
  settlement: Settlement,
  nextSave: () => Promise<void>,
): Reply {
  const { stateFault, failures, state, decision } = settlement;
  // First: a down that comes again has nothing to do, and what it did may still be in memory only.
  if (stateFault !== undefined) return { ok: false, code: 'STATE', text: stateFault, saved: nextSave() };
  if (outcome === 'stale') return { ok: true, text: `nothing to do: ${because}` };
  if (failures.length > 0) return { ok: false, code: 'ROUTE', text: failureLines(settlement).join('; ') };
  if (outcome === 'down' || link === undefined) return { ok: true, text: linksLine(state, decision) };
  // Its servers may have been found since it was taken in.
  const list = link.profile === undefined ? 'others' : 'links';
  const isTheSame = ({ order, lost }: typeof link) => order === link.order && lost !== true;
  // It came last, as a rule.
  const now = state[list].findLast(isTheSame);
  // Where a server is known the default is on the link, and the status has the name that does not resolve.
  if (now !== undefined && !isServerKnown(now))
    return { ok: false, code: 'SERVER', text: `no address for ${(now.unresolved ?? []).join(', ')}` };
  const told = { links: [], others: [], [list]: now === undefined ? [] : [now] };
  return { ok: true, text: linksLine(now === undefined ? state : told, decision) };
}
