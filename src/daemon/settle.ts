import { type Decision, decide } from '../core/decide/decide.ts';
import { destinationsOf } from '../core/decide/destinations.ts';
import { type Step, sentenceOf, shellCommandOf } from '../core/decide/plan.ts';
import { uplinkDefaults } from '../core/decide/uplink.ts';
import { linksOnDisk } from '../core/link/change.ts';
import { dropVanished, type Link } from '../core/link/link.ts';
import { demandingLinks, presentAt } from '../core/link/link-index.ts';
import type { State } from '../core/link/state.ts';
import type { Observed } from '../core/route/observed.ts';
import { families } from '../core/route/prefix.ts';
import { messageIds, stepFields, vanishedFields } from '../core/tell/message.ts';
import { vanishedLine } from '../core/tell/status.ts';
import type { Kernel, Questions, Sentences, Store } from './rooms.ts';
import { SavedState } from './saved-state.ts';

/** A step that the kernel would not take. */
export interface StepFailure {
  step: Step;
  error: string;
}

/** How things stand after the kernel was made what it should be. */
export interface Settlement {
  state: State;
  /** The last decision; what it still would do is what failed. */
  decision: Decision;
  observed: Observed;
  failures: StepFailure[];
  /** Why the state is not on disk, if so. */
  stateFault: string | undefined;
  /** How many steps were taken. */
  changes: number;
}

/** Rounds of look, decide, change. Two or three are enough; more means that somebody fights us. */
const mostRounds = 6;

/** Makes the kernel's routes what they should be, and never takes what is not saved. */
export class Settler {
  readonly #kernel: Kernel;
  readonly #journal: Sentences;
  readonly #saved: SavedState;
  #failures: readonly StepFailure[] = [];
  /** Whatever was read at the start, the state may have been lost. */
  #isForgetful = true;
  /** A part of the state cannot be read. */
  isPartial = false;
  /** Names of interfaces that went while their link was up, and have not come back. */
  readonly gone = new Set<string>();

  constructor(rooms: { kernel: Kernel; store: Store; journal: Sentences }, onDisk: State) {
    this.#kernel = rooms.kernel;
    this.#journal = rooms.journal;
    this.#saved = new SavedState(rooms.store, onDisk);
  }

  /** What would survive a kill. */
  get onDisk(): State {
    return this.#saved.state;
  }

  /** What could not be read before: it is in the store. */
  recall(recalled: Omit<State, 'bootId'>): void {
    this.#saved.recall(recalled);
  }

  /** Decides, saves and changes until a look at the kernel finds nothing left to do. The kernel was looked at just now. */
  async settle(wanted: State): Promise<Settlement> {
    const failed = new Map<string, StepFailure>();
    const doubted = new Set<string>();
    const refused = () => new Set([...failed.values()].flatMap(refusedBy));
    let current = wanted;
    let changes = 0;
    for (let round = 1; ; round++) {
      const { observed, state } = await this.look(current, 'after');
      current = state;
      let decision = this.#decide(state, observed, refused());
      const isLast = decision.steps.every(step => isHopeless(step, failed)) || round > mostRounds;
      const stateFault = this.#save(decision.state, { forgets: isLast });
      if (stateFault === undefined) {
        current = decision.state;
        for (const { route } of decision.dropped) this.#tellDropped(route);
      } else decision = this.#decideWithoutSaving(state, observed, refused());
      const steps = decision.steps.filter(step => !isHopeless(step, failed));
      if (steps.length === 0 || round > mostRounds) {
        this.#failures = [...failed.values()];
        this.#isForgetful &&= this.isPartial || decision.orphaned.length > 0;
        const failures = this.#failures.filter(failure => !isMadeUpFor(failure, decision));
        return { state: current, decision, observed, failures, stateFault, changes };
      }
      const { failures, taken } = await this.#apply(steps, doubted);
      changes += taken;
      for (const failure of failures) failed.set(shellCommandOf(failure.step), failure);
    }
  }

  /** What the kernel has, and the state with the links that are there: what they are called and whether they are changes at any time. */
  async look(state: State, news: Questions['news']): Promise<{ observed: Observed; state: State }> {
    const forwarding = asksForForwarding(state);
    const destinations = destinationsOf(state);
    const observed = await this.#kernel.observe({ forwarding, destinations, news });
    const { links, vanished } = dropVanished(state.links, observed.interfaces);
    this.tellVanished(vanished);
    for (const name of this.gone) if (presentAt(links, name).length > 0) this.gone.delete(name);
    return { observed, state: links === state.links ? state : { ...state, links } };
  }

  tellVanished(links: readonly Link[]): void {
    for (const link of links) {
      this.#journal.info(vanishedFields(link), vanishedLine(link));
      this.gone.add(link.interface);
    }
  }

  #decide(state: State, observed: Observed, refused: ReadonlySet<string>): Decision {
    const { isPartial } = this;
    return decide({ state, observed, refused, isForgetful: this.#isForgetful, isPartial });
  }

  /** What the state on disk asks for, without the links that are gone: all that may be done while it cannot be written. */
  #decideWithoutSaving(state: State, observed: Observed, refused: ReadonlySet<string>): Decision {
    const { onDisk } = this;
    const links = linksOnDisk(state.links, onDisk.links);
    const decision = this.#decide({ ...onDisk, others: state.others, links }, observed, refused);
    const safe = new Set(onDisk.savedDefaults.map(({ route }) => route));
    const isSafe = (step: Step) =>
      step.kind !== 'delete-route' || step.because !== 'displaced' || safe.has(step.route.line);
    return { ...decision, steps: decision.steps.filter(isSafe) };
  }

  /** The reason why it could not be saved. */
  #save(state: State, how: { forgets: boolean }): string | undefined {
    // What is saved is known already after a kill, and would not be told again.
    this.#journal.flush?.();
    const fault = this.#saved.save(state, how);
    return fault && `${fault}; no default is moved until it can be saved`;
  }

  #tellDropped(route: string): void {
    const why = 'the uplink changed meanwhile, and what is there now stays';
    this.#journal.notice(
      { MESSAGE_ID: messageIds.defaultGivenUp, ROUTE: route },
      `not bringing back ${route}: ${why}`,
    );
  }

  /**
   * The steps that failed; each is told once, for as long as it goes on failing. One that is unsure is done if the next look
   * shows it; if it does not, what was in its way may have gone with this round, and it is `doubted`: tried once more.
   */
  async #apply(
    steps: readonly Step[],
    doubted: Set<string>,
  ): Promise<{ failures: StepFailure[]; taken: number }> {
    const failures: StepFailure[] = [];
    let taken = 0;
    // The one that changed is at the end.
    const isOfLink = (dev: string) =>
      this.onDisk.links.findLast(link => link.interface === dev) !== undefined;
    const isTold = (step: Step) =>
      this.#failures.some(earlier => shellCommandOf(earlier.step) === shellCommandOf(step));
    for (const { step, error, skipped, unsure } of await this.#kernel.apply(steps)) {
      const command = shellCommandOf(step);
      if (unsure === true && !doubted.has(command)) {
        doubted.add(command);
        continue;
      }
      const fields = stepFields(step, { isOfLink, failed: skipped === true || error !== undefined });
      const text = `${sentenceOf(step)}: ${command}`;
      if (skipped === true) {
        if (!step.needs.some(isTold)) this.#journal.warn(fields, `not ${text}: what it needs failed`);
      } else if (error === undefined) {
        taken++;
        this.#journal.info(fields, text);
      } else {
        failures.push({ step, error });
        if (!isTold(step)) this.#journal.warn(fields, `failed ${text}: ${error}`);
      }
    }
    return { failures, taken };
  }
}

/** Proxy neighbours answer only where the interface forwards. */
export function asksForForwarding({ links }: State): boolean {
  return demandingLinks(links).some(({ profile }) => (profile?.['proxy-arp'] ?? 'off') !== 'off');
}

/** The defaults that lead past our links, those that are displaced included, in one text to compare. */
export function uplinksOf({ decision, observed }: Settlement): string {
  const { managedDevices } = decision.demand;
  const present = families.flatMap(family => uplinkDefaults(observed, managedDevices, family));
  const lines = [
    ...present.map(({ line }) => line),
    ...decision.state.savedDefaults.map(({ route }) => route),
  ];
  return [...new Set(lines)].sort().join('\n');
}

/** What the kernel would not take: a route, and where the way out of a pin is at fault, all that leads out there. */
function refusedBy({ step, error }: StepFailure): string[] {
  if (!('route' in step)) return [];
  const { line } = step.route;
  return 'over' in step && step.over !== undefined && wayOutTroubles.test(error) ? [line, step.over] : [line];
}

/** What the kernel says of a nexthop that it cannot use: fib_check_nh(), ip6_route_check_nh(), nexthop_find_by_id(). */
const wayOutTroubles =
  /nexthop|gateway|unreachable|no route to host|network is down|cannot find device|(prefsrc|source) address/i;

/** A pin that would not go over one uplink, where it is wanted over another now. */
function isMadeUpFor({ step }: StepFailure, { steps }: Decision): boolean {
  const command = shellCommandOf(step);
  return (
    step.kind === 'add-route' &&
    step.purpose === 'pin' &&
    !steps.some(wanted => shellCommandOf(wanted) === command)
  );
}

/** It failed in this settling, or it needs one that did: without its pin no default moves, in no later round either. */
function isHopeless(step: Step, failed: ReadonlyMap<string, StepFailure>): boolean {
  if (failed.size === 0) return false;
  return failed.has(shellCommandOf(step)) || step.needs.some(needed => isHopeless(needed, failed));
}
