import { isDeepStrictEqual } from 'node:util';
import { type Decision, decide } from './core/decide.ts';
import { families } from './core/demand.ts';
import type { LinkEvent } from './core/event.ts';
import { type Applied, applyEvent, dropVanished, type Link } from './core/link.ts';
import type { Observed } from './core/observed.ts';
import { type Step, sentenceOf, shellCommandOf } from './core/plan.ts';
import { isOtherManagers, type Profile, profileFor } from './core/profile.ts';
import { reasonOf } from './core/reason.ts';
import { emptyState, type State } from './core/state.ts';
import { linkLine, statusLine } from './core/status.ts';
import { uplinkDefaults } from './core/uplink.ts';

/*
 * INVARIANTS
 * 1. One reconcile at a time. Events that come meanwhile wait and share the next one, in the order they came.
 * 2. Events of one interface are taken one after the other, also while a server's name is being looked up.
 * 3. No route of others is deleted before the state that can bring it back is on disk.
 * 4. The state changes in a reconcile only; what else wants to change it waits in #amendments.
 * 5. What the kernel shows decides; what is remembered only says which links are ours and what was displaced.
 */

/** The kernel's routes. */
export interface Kernel {
  /** `forwarding`: also ask which interfaces forward. */
  observe(questions: { forwarding: boolean }): Promise<Observed>;
  apply(steps: readonly Step[]): Promise<{ step: Step; error?: string; skipped?: boolean }[]>;
}

/** Where the state is kept. `save` must not return before the state would survive a crash. */
export interface Store {
  load(bootId: string): Promise<{ state: State; notices: { level: 'notice' | 'warning'; text: string }[] }>;
  save(state: State): Promise<void>;
}

interface ServerAddresses {
  servers: string[];
  unresolved: string[];
}

/** Finds the addresses of VPN servers. Never throws. */
export type FindServers = (
  profile: Profile,
  link: { peerOptions: readonly string[]; pid?: number | undefined },
) => Promise<ServerAddresses>;

type Log = (fields: object, text: string) => void;
/** Where sentences go. */
export interface Sentences {
  info: Log;
  notice: Log;
  warn: Log;
  error: Log;
}

export interface DaemonOptions {
  kernel: Kernel;
  store: Store;
  findServers: FindServers;
  journal: Sentences;
  /** Called with the status line whenever it changes. */
  onStatus(line: string): void;
  bootId: string;
  /** How long after a fault the daemon tries again by itself, in milliseconds. */
  retryAfter: number;
}

/** An answer to a hook. */
export type Reply =
  | { ok: true; text: string }
  | { ok: false; code: 'STATE' | 'ROUTE' | 'SERVER' | 'INTERNAL'; text: string };

interface Pending {
  event: LinkEvent;
  profile: Profile | undefined;
  servers: ServerAddresses;
  answer(reply: Reply): void;
}

/** What a look at the daemon shows: for the control socket. */
export interface Snapshot {
  status: string;
  degraded: boolean;
  troubles: string[];
  links: (Link & { says: string })[];
  savedDefaults: State['savedDefaults'];
}

/** Rounds of look, decide, change until nothing is left to do. Three are needed at most; more means that somebody fights us. */
const mostRounds = 6;

const noServers: ServerAddresses = { servers: [], unresolved: [] };

export class Daemon {
  readonly #options: DaemonOptions;
  readonly #pending: Pending[] = [];
  readonly #turns = new Map<string, Promise<unknown>>();
  readonly #faults = new Map<string, string>();
  /** What is known now, and what of it is on disk. */
  #state: State;
  #durable: State;
  #profiles: readonly Profile[] | undefined;
  #decision: Decision | undefined;
  #observed: Observed | undefined;
  #running: Promise<boolean> | undefined;
  #again = false;
  /** Changes of the links from outside of the events, which the next reconcile takes in. */
  readonly #amendments: ((links: Link[]) => Link[])[] = [];
  #uplinks: string | undefined;
  /** How many steps have been taken. */
  #changes = 0;
  #failures: StepFailure[] = [];
  #retry: NodeJS.Timeout | undefined;
  #status = '';
  /** Troubles and warnings that hold and have been told. */
  #said = new Set<string>();

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#state = emptyState(options.bootId);
    this.#durable = this.#state;
  }

  /**
   * Takes up where the last run of this boot left: reads the state and makes the kernel's routes what they should be.
   * Without profiles (the configuration cannot be read) the links that are up keep those they came up with.
   */
  async start(profiles: readonly Profile[] | undefined): Promise<void> {
    const { state, notices } = await this.#options.store.load(this.#options.bootId);
    for (const { level, text } of notices)
      this.#options.journal[level === 'warning' ? 'warn' : 'notice']({}, text);
    this.#state = state;
    this.#durable = state;
    await (profiles === undefined ? this.reconcile() : this.configure(profiles));
  }

  /** A new configuration; links that are up move to what it says without a gap. */
  async configure(profiles: readonly Profile[]): Promise<void> {
    this.#profiles = profiles;
    await this.#refreshLinks(link => {
      const profile = profileFor(profiles, link);
      return isDeepStrictEqual(profile, link.profile) ? undefined : { profile };
    });
    await this.reconcile();
  }

  /** Applies an event; the answer comes when the kernel's routes have been looked at after the change. */
  async handle(event: LinkEvent): Promise<Reply> {
    const turn = (this.#turns.get(event.interface) ?? Promise.resolve()).then(() =>
      this.#handleInTurn(event),
    );
    const settled = turn.catch(() => undefined);
    this.#turns.set(event.interface, settled);
    void settled.then(() => {
      if (this.#turns.get(event.interface) === settled) this.#turns.delete(event.interface);
    });
    return turn;
  }

  /**
   * Looks at the kernel and puts right what is not. Resolves when a look that began after the call is done with; true
   * if anything had to be changed.
   */
  reconcile(): Promise<boolean> {
    this.#again = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** The admin's word: every link is let go until it comes up anew, and the uplink gets its defaults back. */
  async release(): Promise<Snapshot> {
    this.#options.journal.notice(
      {},
      'restoring the uplink, as the administrator asked; links that are up are left alone until they come up anew',
    );
    const links = this.#state.links
      .filter(link => link.lost !== true)
      .map(link => ({ ...link, released: true }));
    this.#state = { ...this.#state, links };
    await this.reconcile();
    return this.snapshot();
  }

  /** Something outside of the routes is wrong, or right again (`undefined`): said in the status. */
  report(origin: string, fault: string | undefined): void {
    const before = this.#faults.get(origin);
    if (fault === before) return;
    if (fault === undefined) {
      this.#faults.delete(origin);
      this.#options.journal.notice({}, `well again: ${before}`);
    } else {
      this.#faults.set(origin, fault);
      this.#options.journal.warn({}, fault);
    }
    this.#tell();
  }

  snapshot(): Snapshot {
    const troubles = this.#troubles();
    return {
      status: this.#status,
      degraded: troubles.length > 0,
      troubles,
      links: this.#state.links.map(link => ({ ...link, says: linkLine(link, this.#decision) })),
      savedDefaults: this.#state.savedDefaults,
    };
  }

  /** What the kernel had at a look just now. */
  async look(): Promise<Observed> {
    await this.reconcile();
    if (this.#observed === undefined) throw new Error(this.#troubles().join('; '));
    return this.#observed;
  }

  /** Takes no more events and resolves when the reconcile under way is done with. */
  async close(): Promise<void> {
    await this.#running?.catch(() => undefined);
    clearTimeout(this.#retry);
  }

  async #handleInTurn(event: LinkEvent): Promise<Reply> {
    const profile = event.name.endsWith('-up') ? profileFor(this.#profiles ?? [], event) : undefined;
    const servers = profile === undefined ? noServers : await this.#options.findServers(profile, event);
    return new Promise(answer => {
      this.#pending.push({ event, profile, servers, answer });
      void this.reconcile();
    });
  }

  async #run(): Promise<boolean> {
    const before = this.#changes;
    while (this.#again) {
      this.#again = false;
      const batch = this.#pending.splice(0);
      try {
        await this.#reconcileOnce(batch);
        this.report('ip', undefined);
      } catch (error) {
        this.report('ip', reasonOf(error));
        for (const { answer } of batch) answer({ ok: false, code: 'INTERNAL', text: reasonOf(error) });
        // The hook has its answer and will not come again: the event waits here until ip can be asked.
        this.#pending.unshift(...batch.map(pending => ({ ...pending, answer: () => undefined })));
      }
      this.#tell();
    }
    this.#scheduleRetry();
    this.#followUplinks();
    return this.#changes > before;
  }

  async #reconcileOnce(batch: readonly Pending[]): Promise<void> {
    const observed = await this.#observe();
    const { links, vanished } = dropVanished(this.#state.links, observed.interfaces);
    for (const link of vanished) {
      this.#options.journal.info(
        fieldsOf(link),
        `${link.profile?.name ?? 'unmanaged'}: ${link.interface} is gone; treating it as down${link.profile?.['on-loss'] === 'block' ? ', and nothing leaves until it returns' : ''}`,
      );
    }
    const amended = this.#amendments.splice(0).reduce((current, amend) => amend(current), links);
    this.#state = { ...this.#state, links: amended };
    const applied = batch.map(pending => this.#absorb(pending, observed));
    await this.#settle(observed);
    batch.forEach((pending, i) => {
      const result = applied[i];
      if (result !== undefined) pending.answer(this.#replyTo(result));
    });
  }

  #observe(): Promise<Observed> {
    const forwarding = this.#state.links.some(link => (link.profile?.['proxy-arp'] ?? 'off') !== 'off');
    return this.#options.kernel.observe({ forwarding });
  }

  /** One event into the state. */
  #absorb({ event, profile, servers }: Pending, observed: Observed): Applied {
    const applied = applyEvent(this.#state.links, event, observed.interfaces);
    const { link, outcome, because } = applied;
    const about = `${event.name} of ${event.interface}`;
    const fields = { PPP_LINK: event.interface, PPP_EVENT: event.name };
    if (outcome === 'stale') {
      this.#options.journal.notice(fields, `${about}: nothing to do, ${because}`);
      return applied;
    }
    const isUp = event.name.endsWith('-up') && link !== undefined;
    const current: Link | undefined = isUp
      ? { ...link, ...(this.#profiles === undefined ? {} : { profile }), ...servers }
      : link;
    const links = applied.links
      .map(candidate => (isUp && candidate === link && current !== undefined ? current : candidate))
      // It returned: what was dark since it was lost is over.
      .filter(
        candidate => !isUp || candidate.lost !== true || candidate.profile?.name !== current?.profile?.name,
      );
    this.#state = { ...this.#state, links };
    if (outcome === 'repeated') this.#options.journal.info(fields, `${about}: known already`);
    else if (isUp) this.#options.journal.info(fields, `${about}: ${introduce(current, event)}`);
    else if (link?.profile === undefined)
      this.#options.journal.info(fields, `${about}: it was left alone, nothing to put back`);
    else this.#options.journal.info(fields, `${about}: putting back what it had moved`);
    return current === undefined ? applied : { ...applied, links, link: current };
  }

  /** Decides and changes until the kernel has what is wanted. */
  async #settle(first: Observed): Promise<void> {
    let observed = first;
    const failed = new Map<string, StepFailure>();
    for (let round = 1; round <= mostRounds; round++) {
      const decision = decide({ state: this.#state, observed, refused: refusedLines(failed) });
      const saved = await this.#save(decision.state);
      for (const { route } of saved ? decision.dropped : []) {
        this.#options.journal.notice(
          { ROUTE: route },
          `not bringing back ${route}: the uplink changed meanwhile, and what is there now stays`,
        );
      }
      const possible = saved ? decision.steps : this.#stepsWithoutSaving(observed);
      this.#decision = decision;
      this.#observed = observed;
      if (saved) this.#state = decision.state;
      const steps = possible.filter(step => !failed.has(shellCommandOf(step)));
      if (steps.length === 0) break;
      for (const failure of await this.#apply(steps)) failed.set(shellCommandOf(failure.step), failure);
      observed = await this.#observe();
      this.#observed = observed;
    }
    this.#failures = [...failed.values()];
  }

  /** What may be done while the state cannot be written: what the state on disk asks for, without the links that are gone. */
  #stepsWithoutSaving(observed: Observed): Step[] {
    const onDisk = new Set(this.#durable.links.map(({ ifindex }) => ifindex));
    const links = this.#state.links.filter(({ ifindex }) => onDisk.has(ifindex));
    const { steps } = decide({ state: { ...this.#durable, links }, observed, refused: new Set() });
    const safe = new Set(this.#durable.savedDefaults.map(({ route }) => route));
    return steps.filter(
      step => step.kind !== 'delete-route' || step.because !== 'displaced' || safe.has(step.route.line),
    );
  }

  async #save(state: State): Promise<boolean> {
    if (isDeepStrictEqual(state, this.#durable)) return true;
    try {
      await this.#options.store.save(state);
      this.#durable = state;
      this.report('state', undefined);
      return true;
    } catch (error) {
      this.report('state', `${reasonOf(error)}; no default is moved until it can be saved`);
      return false;
    }
  }

  async #apply(steps: readonly Step[]): Promise<StepFailure[]> {
    const results = await this.#options.kernel.apply(steps);
    return results.flatMap(({ step, error, skipped }) => {
      const text = `${sentenceOf(step)}: ${shellCommandOf(step)}`;
      if (skipped) {
        this.#options.journal.warn(fieldsOfStep(step), `not ${text}: what it needs failed`);
        return [];
      }
      if (error === undefined) {
        this.#changes++;
        this.#options.journal.info(fieldsOfStep(step), text);
        return [];
      }
      const again = this.#failures.some(
        earlier => earlier.error === error && shellCommandOf(earlier.step) === shellCommandOf(step),
      );
      if (!again) this.#options.journal.warn(fieldsOfStep(step), `failed ${text}: ${error}`);
      return [{ step, error }];
    });
  }

  #replyTo({ outcome, link, because }: Applied): Reply {
    const stateFault = this.#faults.get('state');
    if (outcome === 'stale') return { ok: true, text: `nothing to do: ${because}` };
    if (stateFault !== undefined) return { ok: false, code: 'STATE', text: stateFault };
    const [failure] = this.#failures;
    if (failure !== undefined)
      return { ok: false, code: 'ROUTE', text: `${shellCommandOf(failure.step)}: ${failure.error}` };
    if (link === undefined || outcome === 'down') return { ok: true, text: this.#lineOf('no link is up') };
    const unresolved = link.unresolved ?? [];
    if (unresolved.length > 0)
      return { ok: false, code: 'SERVER', text: `no address for ${unresolved.join(', ')}` };
    return { ok: true, text: linkLine(link, this.#decision) };
  }

  #lineOf(otherwise: string): string {
    return this.#state.links.map(link => linkLine(link, this.#decision)).join('; ') || otherwise;
  }

  #troubles(): string[] {
    const failures = this.#failures.map(({ step, error }) => `${shellCommandOf(step)}: ${error}`);
    return [...this.#faults.values(), ...failures, ...(this.#decision?.troubles ?? [])];
  }

  /** Says what changed: troubles that are new, and the status line. */
  #tell(): void {
    const sayings = [...(this.#decision?.troubles ?? []), ...(this.#decision?.warnings ?? [])];
    for (const saying of sayings) if (!this.#said.has(saying)) this.#options.journal.warn({}, saying);
    this.#said = new Set(sayings);
    const status = statusLine(this.#state.links, this.#decision, this.#troubles());
    if (status === this.#status) return;
    this.#status = status;
    this.#options.onStatus(status);
  }

  #scheduleRetry(): void {
    clearTimeout(this.#retry);
    const unresolved = this.#state.links.some(link => (link.unresolved ?? []).length > 0);
    const waiting = (this.#decision?.troubles.length ?? 0) > 0;
    if (
      this.#failures.length === 0 &&
      !this.#faults.has('ip') &&
      !this.#faults.has('state') &&
      !unresolved &&
      !waiting
    )
      return;
    this.#retry = setTimeout(() => void this.#tryAgain(), this.#options.retryAfter);
  }

  async #tryAgain(): Promise<void> {
    await this.#refreshLinks(link =>
      (link.unresolved ?? []).length > 0 ? { profile: link.profile } : undefined,
    );
    await this.reconcile();
  }

  /** Another uplink may know another address of a server's name. Looked up in the background: the pins there are hold. */
  #followUplinks(): void {
    const uplinks = uplinksOf(this.#decision, this.#observed);
    const moved = uplinks !== this.#uplinks && this.#uplinks !== undefined && uplinks !== '';
    this.#uplinks = uplinks;
    if (!moved) return;
    void this.#refreshLinks(link =>
      link.profile !== undefined && link.lost !== true ? { profile: link.profile } : undefined,
    ).then(() => this.reconcile());
  }

  /** Gives links another profile and looks their servers up, for the next reconcile to take in. */
  async #refreshLinks(change: (link: Link) => { profile: Profile | undefined } | undefined): Promise<void> {
    const changes = await Promise.all(
      this.#state.links.map(async link => {
        const changed = change(link);
        if (changed === undefined) return undefined;
        const { profile } = changed;
        const found = profile === undefined ? noServers : await this.#options.findServers(profile, link);
        // Better the address of before than none, while the same profile holds.
        const keep =
          found.servers.length === 0 &&
          found.unresolved.length > 0 &&
          isDeepStrictEqual(profile, link.profile);
        return { order: link.order, profile, ...found, ...(keep ? { servers: link.servers } : {}) };
      }),
    );
    this.#amendments.push(links =>
      links
        .map(link => ({ ...link, ...changes.find(changed => changed?.order === link.order) }))
        .filter(link => link.lost !== true || link.profile?.['on-loss'] === 'block'),
    );
  }
}

/** The defaults that lead past our links, those that are displaced included, in one text to compare. */
function uplinksOf(decision: Decision | undefined, observed: Observed | undefined): string | undefined {
  if (decision === undefined || observed === undefined) return undefined;
  const present = families.flatMap(family =>
    uplinkDefaults(observed, decision.demand.managedDevices, family),
  );
  const lines = [
    ...present.map(({ line }) => line),
    ...decision.state.savedDefaults.map(({ route }) => route),
  ];
  return [...new Set(lines)].sort().join('\n');
}

interface StepFailure {
  step: Step;
  error: string;
}

function refusedLines(failed: ReadonlyMap<string, StepFailure>): Set<string> {
  return new Set(
    [...failed.values()].flatMap(({ step }) => (step.kind === 'add-route' ? [step.route.line] : [])),
  );
}

/** What a new link is and what becomes of it, for the journal. */
function introduce(link: Link | undefined, event: LinkEvent): string {
  if (link === undefined) return 'unknown';
  const ends = `${event.local ?? 'no address'} to ${event.remote ?? 'no address'}`;
  if (link.profile !== undefined) return `${ends}, profile ${link.profile.name}`;
  const why = isOtherManagers(link)
    ? 'another manager runs it'
    : `no profile matches (ipparam ${JSON.stringify(link.ipparam ?? '')})`;
  return `${ends}, left alone: ${why}`;
}

function fieldsOf(link: Link): object {
  return {
    PPP_LINK: link.interface,
    ...(link.profile === undefined ? {} : { PPP_PROFILE: link.profile.name }),
  };
}

function fieldsOfStep(step: Step): object {
  return 'route' in step ? { ROUTE: step.route.line } : {};
}
