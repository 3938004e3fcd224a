import type { LinkEvent } from '../core/link/event.ts';
import { reasonOf } from '../core/tell/reason.ts';
import type { AskTransport, Reply } from './hook-socket.ts';
import type { Spool, SpooledEvent } from './spool.ts';

/*
 * INVARIANTS
 * 1. What was in the spool when an event came by the socket is handed on before that event.
 * 2. An event is handed on once: a hook that has no answer, or is told that its event is not on disk, spools what its
 *    connection brings as well.
 * 3. A spooled event stays on disk until what it changed is on disk; of one interface none is put away before an earlier one.
 */

export interface QueueOptions {
  spool: Spool;
  /** `askHook`: its hook waits, and can be asked for more. */
  handle(event: LinkEvent, askHook?: AskTransport): Promise<Reply>;
  /** Called with how many events waited in the spool, before they are handed on. */
  onWaiting(count: number): void;
}

/** The order in which events are handed to the daemon, by whichever way they came. */
export class Queue {
  readonly #options: QueueOptions;
  #pass: Promise<void> | undefined;
  #nextPass: Promise<void> | undefined;
  /** What has been handed on and is not on disk yet, by its id. */
  readonly #underWay = new Map<string, Promise<Reply>>();
  /** Of each interface, when the last of its spooled events is put away. */
  readonly #putAway = new Map<string, Promise<void>>();

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  /** Hands on an event that came by the socket. */
  async add(event: LinkEvent, askHook?: AskTransport): Promise<Reply> {
    if (this.#pass !== undefined || !this.#options.spool.isEmpty()) await this.drain();
    if (event.id !== undefined && this.#options.spool.hasTaken(event.id))
      return { ok: true, text: 'nothing to do: it came through the spool' };
    return this.#handOn(event, askHook && (() => this.#ask(event, askHook)));
  }

  /** Hands on everything that is in the spool now. Never throws. */
  drain(): Promise<void> {
    if (this.#pass === undefined) {
      this.#pass = this.#drainOnce().finally(() => {
        this.#pass = undefined;
      });
      return this.#pass;
    }
    // The pass under way may have looked already.
    this.#nextPass ??= this.#pass.then(() => {
      this.#nextPass = undefined;
      return this.drain();
    });
    return this.#nextPass;
  }

  async #drainOnce(): Promise<void> {
    const { spool, onWaiting } = this.#options;
    const { events, unfit } = await spool.read();
    const waited = events.filter(({ event }) => event.id === undefined || !this.#underWay.has(event.id));
    if (waited.length > 0) onWaiting(waited.length);
    // Handed on at once: which link is the newest is told by the order in which events are handed on. What is no event waits.
    await Promise.all([...events.map(spooled => this.#takeIn(spooled)), spool.reject(unfit)]);
  }

  /** A hook that has given up cannot be asked, and has left all that it can tell in the spool. */
  async #ask({ id }: LinkEvent, askHook: AskTransport): Promise<string[] | undefined> {
    const told = await askHook();
    if (told !== undefined || id === undefined) return told;
    const { events } = await this.#options.spool.read();
    return events.find(({ event }) => event.id === id)?.event.peerOptions;
  }

  #handOn(event: LinkEvent, askHook?: AskTransport): Promise<Reply> {
    const { id } = event;
    const known = id === undefined ? undefined : this.#underWay.get(id);
    if (known !== undefined) return known;
    const handled = this.#options.handle(event, askHook);
    if (id === undefined) return handled;
    this.#underWay.set(id, handled);
    const saved = handled.then(savedOf).catch(() => undefined);
    void saved.then(() => this.#underWay.delete(id));
    return handled;
  }

  async #takeIn(spooled: SpooledEvent): Promise<void> {
    const { spool } = this.#options;
    const { path, event } = spooled;
    const before = this.#putAway.get(event.interface);
    const handled = this.#handOn(event);
    const putAway = handled
      .then(savedOf)
      .then(() => before)
      .then(
        () => spool.take(spooled),
        (error: unknown) => spool.reject([{ path, why: `was not handled (${reasonOf(error)})` }]),
      );
    this.#putAway.set(event.interface, putAway);
    void putAway.then(() => {
      if (this.#putAway.get(event.interface) === putAway) this.#putAway.delete(event.interface);
    });
    const isSaved = savedOf(await handled.catch(() => undefined)) === undefined;
    // For a disk that is full nobody waits: other events go on past those that are left.
    if (isSaved) await putAway;
    else spool.leave(path);
  }
}

/** Where what an event changed is in memory only: when it will be on disk. */
function savedOf(reply: Reply | undefined): Promise<void> | undefined {
  return reply === undefined || reply.ok ? undefined : reply.saved;
}
