import { isDeepStrictEqual } from 'node:util';
import { absorbEvent, afterAll, type Findings } from '../core/link/absorb.ts';
import type { LinkEvent } from '../core/link/event.ts';
import type { Applied, Link } from '../core/link/link.ts';
import { type Profile, profileFor } from '../core/link/profile.ts';
import { emptyState, type State } from '../core/link/state.ts';
import type { Observed } from '../core/route/observed.ts';
import { eventFields, messageIds } from '../core/tell/message.ts';
import { reasonOf } from '../core/tell/reason.ts';
import { type Rehearsal, rehearse } from '../core/tell/rehearsal.ts';
import type { Snapshot } from '../core/tell/snapshot.ts';
import { eventLine, linkLine } from '../core/tell/status.ts';
import { Amendments, noServers } from './amendments.ts';
import { Condition } from './condition.ts';
import { type Reply, replyTo } from './reply.ts';
import type { FindServers, Kernel, Questions, Sentences, Store } from './rooms.ts';
import { asksForForwarding, type Settlement, Settler } from './settle.ts';
import { Turns } from './turns.ts';

/*
 * INVARIANTS
 * 1. One reconcile at a time. Events that come meanwhile wait and share the next one, in the order they came.
 * 2. Events of one interface are taken one after the other, also while a server's name is being looked up.
 * 3. The state changes in a reconcile only; what else wants to change it waits in #amendments.
 * 4. An event is taken in by the configuration of that moment, however long it waited.
 * 5. What the kernel shows decides; what is remembered only says which links are ours and what was displaced.
 * 6. Nothing is decided before the state has been read: what happens earlier (the kernel speaks, a signal) waits for it.
 */

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

/** An event, and who waits for the answer. */
interface Told {
  event: LinkEvent;
  arrival: number;
  answer(reply: Reply): void;
  refuse(error: unknown): void;
}

interface Pending extends Told {
  findings: Findings | undefined;
}

/** The story of one event, and of everything else that calls for a look at the routes. */
export class Daemon {
  readonly #options: DaemonOptions;
  #settler: Settler;
  #state: State;
  #settlement: Settlement | undefined;
  /** undefined: the configuration could not be read yet. */
  #profiles: readonly Profile[] | undefined;
  readonly #pending: Pending[] = [];
  readonly #amendments: Amendments;
  /** Told when the state is on disk again. */
  readonly #unsaved: (() => void)[] = [];
  /** Of the events of each interface. */
  readonly #turns = new Turns();
  #running: Promise<boolean> | undefined;
  /** Resolves when the state has been read. */
  readonly #loaded: Promise<void>;
  #whenLoaded: () => void = () => undefined;
  #again = false;
  /** What the next look must be sure of. */
  #news: Questions['news'] = 'heard';
  #changes = 0;
  /** The number of the next event. */
  #arrivals = 1;
  /** The number that the last release has among the events. */
  #lastRelease = 0;
  readonly #condition: Condition;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#state = emptyState(options.bootId);
    this.#settler = new Settler(options, this.#state);
    this.#loaded = new Promise(resolve => {
      this.#whenLoaded = resolve;
    });
    this.#condition = new Condition(options);
    this.#amendments = new Amendments({
      ...options,
      links: () => this.#state.links,
      onDue: () => void this.reconcile(),
    });
  }

  /**
   * Takes up where the last run of this boot left: reads the state, asks for the profiles and makes the kernel's routes what
   * they should be. What the links came up with says whether there was a configuration. Without profiles (it cannot be read)
   * the links that are up keep those they have.
   */
  async start(
    readProfiles: (links: readonly Link[]) => Promise<readonly Profile[] | undefined>,
  ): Promise<void> {
    const { store, journal, bootId } = this.#options;
    const { state, notices } = await store.load(bootId);
    for (const { level, text } of notices)
      journal[level === 'warning' ? 'warn' : 'notice']({ MESSAGE_ID: messageIds.stateSetAside }, text);
    this.#state = state;
    this.#arrivals = afterAll(state.links);
    this.#settler = new Settler(this.#options, state);
    const profiles = await readProfiles(state.links);
    this.#whenLoaded();
    await (profiles === undefined ? this.reconcile() : this.configure(profiles));
  }

  /** A new configuration; links that are up move to what it says without a gap. */
  async configure(profiles: readonly Profile[]): Promise<void> {
    this.#profiles = profiles;
    await this.#loaded;
    await this.#amendments.refresh(link => {
      const profile = profileFor(profiles, link);
      return isDeepStrictEqual(profile, link.profile) ? undefined : { profile };
    });
    await this.reconcile();
  }

  /**
   * Applies an event; the answer comes when the kernel's routes have been looked at after the change.
   * @throws Error where the event cannot be taken in by a fault of our own; all is as if it had not come.
   */
  async handle(event: LinkEvent): Promise<Reply> {
    // Before anything is waited for: which link is the newest must not hang on whose name resolves first.
    const arrival = this.#arrivals++;
    return this.#turns.take(event.interface, () => this.#handleInTurn(event, arrival));
  }

  /**
   * Looks at the kernel and puts right what is not. Resolves when a look that began after the call is done with; true
   * if anything had to be changed.
   */
  reconcile(): Promise<boolean> {
    this.#news = 'all';
    return this.#reconcileSoon();
  }

  /** The same where nothing calls for it: the kernel is not made to say anything, and so nobody else hears of it. */
  check(): Promise<boolean> {
    return this.#reconcileSoon();
  }

  #reconcileSoon(): Promise<boolean> {
    this.#again = true;
    this.#running ??= this.#run();
    return this.#running;
  }

  /** The admin's word: every link is let go until it comes up anew, and the uplink gets its defaults back. */
  async release(): Promise<Snapshot> {
    const { journal } = this.#options;
    journal.notice(
      { MESSAGE_ID: messageIds.uplinkRestored },
      'restoring the uplink, as the administrator asked; links that are up are left alone until they come up anew',
    );
    this.#lastRelease = this.#arrivals++;
    this.#amendments.add(links =>
      links.filter(link => link.lost !== true).map(link => ({ ...link, released: true })),
    );
    await this.reconcile();
    return this.snapshot();
  }

  /** Something outside of the routes is wrong, or right again (`undefined`): said in the status. */
  report(origin: string, fault: string | undefined): void {
    this.#condition.report(origin, fault);
  }

  /** How things stand, for the control socket. */
  snapshot(): Snapshot {
    const { status, troubles, warnings } = this.#condition;
    return {
      status,
      degraded: troubles.length > 0,
      troubles,
      warnings,
      links: this.#state.links.map(link => ({ ...link, says: linkLine(link, this.#settlement?.decision) })),
      savedDefaults: this.#state.savedDefaults,
    };
  }

  /**
   * What the kernel had at a look just now.
   * @throws Error where ip cannot be asked.
   */
  async look(): Promise<Observed> {
    await this.reconcile();
    if (this.#settlement === undefined || this.#condition.hasFault('ip'))
      throw new Error(this.#condition.troubles.join('; '));
    return this.#options.kernel.survey({ forwarding: asksForForwarding(this.#state) });
  }

  /** What would be done at an event: a dry run against what the kernel has now. */
  async rehearse(event: LinkEvent): Promise<Rehearsal> {
    await this.look();
    const observed = await this.#options.kernel.survey({ forwarding: true });
    const findings = await this.#findingsAbout(event);
    return rehearse({ state: this.#state, observed, event, findings });
  }

  /** Resolves when the reconcile under way is done with; there are no more by themselves. */
  async close(): Promise<void> {
    await this.#running?.catch(() => undefined);
    this.#amendments.close();
  }

  #handleInTurn(event: LinkEvent, arrival: number): Promise<Reply> {
    return new Promise((answer, refuse) => {
      this.#prepare({ event, arrival, answer, refuse }).catch(refuse);
    });
  }

  /** Finds out what there is to know before an event can be taken in. */
  async #prepare(told: Told): Promise<void> {
    const findings = await this.#findingsAbout(told.event);
    this.#pending.push({ ...told, findings });
    void this.reconcile();
  }

  /** What the configuration wants of a link that comes up, and where its server is; undefined: it could not be read. */
  async #findingsAbout(event: LinkEvent): Promise<Findings | undefined> {
    const wish = this.#wishFor(event);
    if (wish === undefined) return undefined;
    const { profile } = wish;
    return {
      profile,
      ...(profile === undefined ? noServers : await this.#options.findServers(profile, event)),
    };
  }

  #wishFor(event: LinkEvent): { profile: Profile | undefined } | undefined {
    const isUp = event.name.endsWith('-up');
    return this.#profiles && { profile: isUp ? profileFor(this.#profiles, event) : undefined };
  }

  async #run(): Promise<boolean> {
    await this.#loaded;
    const before = this.#changes;
    try {
      while (this.#again) {
        this.#again = false;
        const batch = this.#pending.splice(0);
        try {
          await this.#takeIn(batch);
          this.report('ip', undefined);
        } catch (error) {
          this.report('ip', reasonOf(error));
          // Without an answer, so that the hook spools what only memory has. The event waits here until ip can be asked.
          this.#pending.unshift(...batch);
        }
        this.#condition.follow(this.#state.links, this.#settlement);
      }
    } finally {
      // Before anything else can happen: what is asked for from now on is looked at by another run.
      this.#running = undefined;
    }
    const isTroubled = this.#condition.troubles.length > 0;
    this.#amendments.follow(this.#settlement, { isTroubled });
    return this.#changes > before;
  }

  /** Where something here stumbles over an event, that event is refused, and no other suffers. */
  async #takeIn(batch: readonly Pending[]): Promise<void> {
    try {
      await this.#reconcileOnce(batch);
    } catch (error) {
      if (isOfKernel(error) || batch.length === 0) throw error;
      // Throws where it was not for an event.
      await this.#reconcileOnce([]);
      const [only, ...others] = batch;
      if (only === undefined) return;
      if (others.length > 0) for (const pending of batch) await this.#takeIn([pending]);
      else this.#refuse(only, error);
    }
  }

  #refuse({ event, refuse }: Pending, error: unknown): void {
    this.#options.journal.error(
      {
        MESSAGE_ID: messageIds.eventRefused,
        PPP_LINK: event.interface,
        PPP_EVENT: event.name,
        STACK: error instanceof Error ? error.stack : undefined,
      },
      `not taking in ${event.name} ${event.interface}, by a fault of ppp-routed: ${reasonOf(error)}`,
    );
    refuse(error);
  }

  async #reconcileOnce(batch: readonly Pending[]): Promise<void> {
    const news = this.#news;
    this.#news = 'heard';
    const { observed, state } = await this.#settler.look(this.#state, news);
    this.#state = { ...state, links: this.#amendments.applyTo(state.links) };
    const { applied, settlement } = await this.#settle(batch, observed);
    this.#settlement = settlement;
    this.#state = settlement.state;
    this.#changes += settlement.changes;
    this.report('state', settlement.stateFault);
    if (settlement.stateFault === undefined) for (const tell of this.#unsaved.splice(0)) tell();
    batch.forEach((pending, i) => {
      const result = applied[i];
      if (result !== undefined) pending.answer(replyTo(result, settlement, () => this.#nextSave()));
      else this.#prepare(pending).catch(pending.refuse);
    });
  }

  #nextSave(): Promise<void> {
    return new Promise(resolve => this.#unsaved.push(resolve));
  }

  /** The events into the state, and the state into the kernel. */
  async #settle(batch: readonly Pending[], observed: Observed) {
    const { links } = this.#state;
    try {
      const applied = batch.map(pending => this.#absorb(pending, observed));
      return { applied, settlement: await this.#settler.settle(this.#state) };
    } catch (error) {
      // What was displaced before the fault is known to the disk, as it is after a kill.
      const { savedDefaults } = this.#settler.onDisk;
      this.#state = { ...this.#state, savedDefaults, ...(!isOfKernel(error) && { links }) };
      throw error;
    }
  }

  /** One event into the state; undefined: since it was prepared, the configuration wants something else. */
  #absorb({ event, arrival, findings }: Pending, observed: Observed): Applied | undefined {
    const wish = this.#wishFor(event);
    const isOfToday =
      findings === undefined ? wish === undefined : isDeepStrictEqual(findings.profile, wish?.profile);
    if (!isOfToday) return undefined;
    const applied = absorbEvent(
      this.#state.links,
      { event, arrival, findings, isLetGo: arrival < this.#lastRelease },
      observed.interfaces,
    );
    this.#state = { ...this.#state, links: applied.links };
    const level = applied.outcome === 'stale' ? 'notice' : 'info';
    this.#options.journal[level](eventFields(event, applied), eventLine(event, applied));
    return applied;
  }
}

/** `ip` could not be asked: nothing is wrong with what it was to be asked. */
function isOfKernel(error: unknown): boolean {
  return error instanceof Error && error.name === 'IpError';
}
