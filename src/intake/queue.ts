import type { LinkEvent } from '../core/event.ts';
import { reasonOf } from '../core/reason.ts';
import type { Reply } from './hook-socket.ts';
import type { Spool, SpooledEvent } from './spool.ts';

/*
 * INVARIANTS
 * 1. What was in the spool when an event came by the socket is handed on before that event.
 * 2. An event is handed on once: a hook that gave up waiting has spooled what its connection brings as well.
 * 3. A spooled event stays on disk until it has been handled; of one interface none is put away before an earlier one.
 */

export interface QueueOptions {
  spool: Spool;
  handle(event: LinkEvent): Promise<Reply>;
  /** Called with how many events waited in the spool, before they are handed on. */
  onWaiting(count: number): void;
  onTrouble(message: string): void;
}

/** The order in which events are handed to the daemon, by whichever way they came. */
export class Queue {
  readonly #options: QueueOptions;
  #pass: Promise<void> | undefined;
  #nextPass: Promise<void> | undefined;

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  /** Hands on an event that came by the socket. */
  async add(event: LinkEvent): Promise<Reply> {
    await this.drain();
    if (event.id !== undefined && this.#options.spool.hasTaken(event.id))
      return { ok: true, text: 'nothing to do: it came through the spool' };
    return this.#options.handle(event);
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
    const { spool, onWaiting, onTrouble } = this.#options;
    const events = await spool.read();
    if (events.length === 0) return;
    onWaiting(events.length);
    const turns = new Map<string, Promise<void>>();
    for (const spooled of events) {
      const name = spooled.event.interface;
      const before = turns.get(name);
      // Handed on at once: which link is the newest is told by the order in which events are handed on.
      const handled = this.#options.handle(spooled.event);
      turns.set(name, this.#putAway(spooled, handled, before));
    }
    await Promise.all(turns.values()).catch((error: unknown) => onTrouble(reasonOf(error)));
  }

  async #putAway(
    spooled: SpooledEvent,
    handled: Promise<Reply>,
    before: Promise<void> | undefined,
  ): Promise<void> {
    const { spool, onTrouble } = this.#options;
    await handled.catch((error: unknown) => onTrouble(`${spooled.path} was not handled: ${reasonOf(error)}`));
    await before;
    await spool.take(spooled);
  }
}
