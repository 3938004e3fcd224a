import { type Changed, recallLinks } from '../core/link/change.ts';
import { dropVanished } from '../core/link/link.ts';
import type { Profile } from '../core/link/profile.ts';
import { emptyState, type SavedDefault, type State } from '../core/link/state.ts';
import type { Interface, Observed } from '../core/route/observed.ts';
import { messageIds } from '../core/tell/message.ts';
import { reasonOf } from '../core/tell/reason.ts';
import type { Health } from './health.ts';
import { type Entry, Inbox, takeAll } from './inbox.ts';
import type { Kernel, Questions, Sentences, Store } from './rooms.ts';
import { type Settlement, Settler } from './settle.ts';

/*
 * INVARIANTS
 * 1. One pass at a time. What is put into the inbox meanwhile is taken in by the next pass, in its order.
 * 2. Links change in a pass only, by the changes in the inbox and by what the kernel shows.
 * 3. A pass waits for the kernel alone: names are looked up and hooks are asked beside it, and their answers are changes.
 * 4. What the kernel shows decides; what is remembered only says which links are ours and what was displaced.
 * 5. Nothing is decided before the state has been read: what happens earlier (the kernel speaks, a signal) waits for it.
 */

export interface LoopOptions {
  kernel: Kernel;
  store: Store;
  journal: Sentences;
  health: Health;
  bootId: string;
  /** The inode of the network namespace that the daemon is in, if known. */
  netns?: number | undefined;
  /** Called when nothing is left to do for now. */
  onIdle(settlement: Settlement | undefined): void;
}

/** Takes what waits in the inbox, looks, changes the links, decides, saves, applies, looks again, and answers. */
export class Loop {
  /** undefined: the configuration could not be read yet. */
  profiles: readonly Profile[] | undefined;
  readonly #options: LoopOptions;
  readonly #inbox = new Inbox();
  #settler: Settler;
  #state: State;
  #settlement: Settlement | undefined;
  readonly #recalled: SavedDefault[] = [];
  /** Called when the state is in the store again. */
  readonly #unsaved: (() => void)[] = [];
  #running: Promise<boolean> | undefined;
  #isAgain = false;
  /** What the next look must be sure of. */
  #news: Questions['news'] = 'heard';
  #changes = 0;
  /** The interfaces among which the links were found that are left alone. */
  #othersSeenIn: readonly Interface[] | undefined;
  readonly #loaded: Promise<void>;
  #begin: () => void = () => undefined;

  constructor(options: LoopOptions) {
    this.#options = options;
    this.#state = emptyState(options.bootId);
    this.#settler = new Settler(options, this.#state);
    this.#loaded = new Promise(resolve => {
      this.#begin = resolve;
    });
  }

  get state(): State {
    return this.#state;
  }

  get settlement(): Settlement | undefined {
    return this.#settlement;
  }

  /** The state of the last run, which is in the store. */
  load(state: State): void {
    this.#state = state;
    this.#settler = new Settler(this.#options, state);
  }

  /** From now on it may be decided. */
  begin(): void {
    this.#begin();
  }

  /** A part of the state that could not be read before: it counts where nothing newer is known. */
  recall(recalled: Omit<State, 'bootId'>, onTaken: (changed: Changed) => void): void {
    this.put({
      change: recallLinks([...recalled.links, ...recalled.others]),
      onTaken: changed => {
        // Not sooner: what the store has and the links do not is removed at the next save.
        this.#settler.recall(recalled);
        this.#recalled.push(...recalled.savedDefaults);
        onTaken(changed);
      },
    });
  }

  /** A part of the state cannot be read, or can be again: then what was put off is due. */
  set isPartial(isPartial: boolean) {
    const isOver = this.#settler.isPartial && !isPartial;
    this.#settler.isPartial = isPartial;
    if (isOver) void this.wake();
  }

  /** Puts a change in, and resolves when it was taken in and the kernel was looked at after it. */
  change(entry: Entry): Promise<{ changed: Changed; settlement: Settlement }> {
    return new Promise((resolve, reject) => {
      this.put({
        ...entry,
        onSettled: (changed, settlement) => resolve({ changed, settlement }),
        onRefused: reject,
      });
    });
  }

  put(entry: Entry): void {
    this.#inbox.put(entry);
    void this.wake();
  }

  /** Makes a pass that begins after the call. True if anything had to be changed. `all`: with a barrier (`Questions`). */
  wake(news?: 'all'): Promise<boolean> {
    if (news !== undefined) this.#news = news;
    this.#isAgain = true;
    this.#running ??= this.#run();
    return this.#running;
  }

  /** Resolves when the state is in the store again. */
  nextSave(): Promise<void> {
    return new Promise(resolve => this.#unsaved.push(resolve));
  }

  /** Resolves when the pass under way is done with. */
  async close(): Promise<void> {
    await this.#running?.catch(() => undefined);
  }

  async #run(): Promise<boolean> {
    await this.#loaded;
    const { health, onIdle } = this.#options;
    const before = this.#changes;
    try {
      while (this.#isAgain) {
        this.#isAgain = false;
        const entries = this.#inbox.take();
        try {
          await this.#pass(entries);
        } catch (error) {
          health.report('ip', reasonOf(error));
          // Without an answer, so that a hook spools what only memory has. It waits here until ip can be asked.
          this.#inbox.putBack(entries);
          health.follow(this.#state, this.#settlement);
        }
      }
    } finally {
      // Before anything else can happen: what is asked for from now on is looked at by another run.
      this.#running = undefined;
    }
    onIdle(this.#settlement);
    return this.#changes > before;
  }

  /** Where something here stumbles over a change, that change is refused, and no other suffers. */
  async #pass(entries: readonly Entry[]): Promise<void> {
    try {
      await this.#settle(entries);
    } catch (error) {
      if (isOfKernel(error) || entries.length === 0) throw error;
      // Throws where it was not for a change.
      await this.#settle([]);
      const [only, ...others] = entries;
      if (others.length > 0) for (const entry of entries) await this.#pass([entry]);
      else if (only !== undefined) this.#refuse(only, error);
    }
  }

  #refuse({ event, onRefused }: Entry, error: unknown): void {
    const stack = error instanceof Error ? error.stack : undefined;
    this.#options.journal.error(
      {
        MESSAGE_ID: messageIds.eventRefused,
        ...(event && { PPP_LINK: event.interface, PPP_EVENT: event.name }),
        STACK: stack,
      },
      `not taking in ${event ? `${event.name} ${event.interface}` : 'a change of the links'}, by a fault of ppp-routed: ${reasonOf(error)}`,
    );
    onRefused?.(error);
  }

  async #settle(entries: readonly Entry[]): Promise<void> {
    const { observed, state } = await this.#look(entries);
    const found = entries.length === 0 ? this.#dropOthers(state, observed) : state;
    this.#state = found;
    const { netns } = this.#options;
    const { gone } = this.#settler;
    const moment = { interfaces: observed.interfaces, profiles: this.profiles, netns, gone };
    try {
      const { links, taken } = takeAll(entries, found, moment);
      const settlement = await this.#settler.settle(this.#withRecalled({ ...found, ...links }));
      this.#settlement = settlement;
      this.#state = settlement.state;
      this.#changes += settlement.changes;
      const { health } = this.#options;
      health.report('ip', undefined);
      health.report('state', settlement.stateFault);
      // Whoever has the answer may look at the status next.
      health.follow(this.#state, settlement);
      if (settlement.stateFault === undefined) for (const tell of this.#unsaved.splice(0)) tell();
      this.#inbox.answer(taken, settlement);
    } catch (error) {
      // What was displaced before the fault is in the store, as it is after a kill.
      this.#state = { ...found, savedDefaults: this.#settler.onDisk.savedDefaults };
      throw error;
    }
    // No decision depends on them: they are looked after when nobody waits.
    if (this.#state.others.length > 0 && observed.interfaces !== this.#othersSeenIn)
      setImmediate(() => void this.wake());
  }

  /** Where the kernel is known to have what the events tell, nothing is asked: the look after the change is sure in any case. */
  async #look(entries: readonly Entry[]): Promise<{ observed: Observed; state: State }> {
    const news = this.#news;
    this.#news = 'heard';
    if (news !== 'all' && entries.length > 0) {
      const known = await this.#settler.look(this.#state, 'known');
      this.#state = known.state;
      if (entries.every(({ isShown }) => isShown?.(known.observed) ?? true)) return known;
    }
    return this.#settler.look(this.#state, entries.length > 0 ? 'all' : news);
  }

  #withRecalled(state: State): State {
    if (this.#recalled.length === 0) return state;
    const known = new Set(state.savedDefaults.map(({ route }) => route));
    const recalled = this.#recalled.splice(0).filter(({ route }) => !known.has(route));
    return { ...state, savedDefaults: [...state.savedDefaults, ...recalled] };
  }

  #dropOthers(state: State, { interfaces }: Observed): State {
    this.#othersSeenIn = interfaces;
    const { links: others, vanished } = dropVanished(state.others, interfaces);
    this.#settler.tellVanished(vanished);
    return others === state.others ? state : { ...state, others };
  }
}

/** `ip` could not be asked: nothing is wrong with what it was to be asked. */
function isOfKernel(error: unknown): boolean {
  return error instanceof Error && error.name === 'IpError';
}
