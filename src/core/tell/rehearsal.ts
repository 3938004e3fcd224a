import * as v from 'valibot';
import { type Decision, decide } from '../decide/decide.ts';
import { familyOfStep, type Step, shellCommandOf } from '../decide/plan.ts';
import { foundServers, takeEvent } from '../link/change.ts';
import type { LinkEvent } from '../link/event.ts';
import { afterAll } from '../link/link.ts';
import type { Profile } from '../link/profile.ts';
import type { State } from '../link/state.ts';
import type { Observed } from '../route/observed.ts';
import type { Route } from '../route/route.ts';
import { afterConnect, afterDisconnect, afterStep } from './foresight.ts';
import { eventLine, linkLine } from './status.ts';

/** What would be done at an event, and the table that would result. Nothing is done. */
export const RehearsalSchema = v.object({
  /** What the event would be to the daemon, in a sentence. */
  event: v.string(),
  /** The commands, in their order, as a person types them. */
  commands: v.array(v.string()),
  /** The main table of both families and our own, as `ip route show` prints it now. */
  before: v.array(v.string()),
  /** The same afterwards. */
  table: v.array(v.string()),
  /** What would hold then, a sentence each. */
  says: v.array(v.string()),
});
export type Rehearsal = v.InferOutput<typeof RehearsalSchema>;

export interface Rehearsed {
  state: State;
  observed: Observed;
  event: LinkEvent;
  profiles: readonly Profile[] | undefined;
  /** What the names of its servers lead to now. */
  found: { servers: readonly string[]; unresolved: string[] };
}

const mostRounds = 6;

/** Plays an event on a copy of what is known, and before it what pppd does: interface and addresses come or go. */
export function rehearse({ state, observed, event, profiles, found }: Rehearsed): Rehearsal {
  const isUp = event.name.endsWith('-up');
  const connected = isUp ? afterConnect(observed, event) : observed;
  const moment = { interfaces: connected.interfaces, profiles };
  const taken = takeEvent(event, { arrival: afterAll(state), canAsk: false })(state, moment);
  const { links } = taken.lookups.reduce(
    (changed, lookup) =>
      foundServers(lookup, { ...found, peerOptions: event.peerOptions })(changed.links, moment),
    taken,
  );
  let kernel = isUp || taken.outcome === 'stale' ? connected : afterDisconnect(observed, event, taken.link);
  let current: State = { ...state, ...links };
  const commands: string[] = [];
  let failures: Step[] = [];
  let decision: Decision = decide({ state: current, observed: kernel, refused: new Set() });
  for (let round = 1; decision.steps.length > 0 && round <= mostRounds; round++) {
    const before = kernel;
    const refused = new Set<Step>();
    for (const step of [...decision.steps].sort(byTurn)) {
      const after = step.needs.some(needed => refused.has(needed)) ? kernel : afterStep(kernel, step);
      if (after === kernel) refused.add(step);
      else commands.push(shellCommandOf(step));
      kernel = after;
    }
    // What is in its way may be ours, and have gone in this round.
    failures =
      kernel === before ? [...refused].filter(({ needs }) => !needs.some(one => refused.has(one))) : [];
    if (failures.length > 0) break;
    current = decision.state;
    decision = decide({ state: current, observed: kernel, refused: new Set() });
  }
  return {
    event: eventLine(event, taken),
    commands,
    before: observed.routes.map(lineOf),
    table: kernel.routes.map(lineOf),
    says: [
      ...[...decision.state.links, ...decision.state.others].map(link => linkLine(link, decision)),
      ...failures.map(step => `${shellCommandOf(step)}: File exists`),
      ...decision.troubles,
      ...decision.warnings,
    ],
  };
}

/** The kernel is given one stage after the other, and in each IPv4 first. */
function byTurn(a: Step, b: Step): number {
  const rank = (step: Step) => (familyOfStep(step) === 'inet' ? 0 : 1);
  return a.stage - b.stage || rank(a) - rank(b);
}

/** `ip -6 route show` knows its family: it prints `default` where `ip route add` needs `::/0`. */
function lineOf({ line }: Route): string {
  return line.replace(/^((?:\w+ )?)::\/0 /, '$1default ');
}
