/*
 * INVARIANTS
 * 1. Where nothing happens nothing is due: no timer runs.
 * 2. An audit is due only when it has been quiet for a while, and for much longer than one takes.
 */

/** How long it must have been quiet, in milliseconds, and in times of what an audit takes. */
const quiet = { shortest: 2000, longest: 3_600_000, times: 200 };

/** When the cache is to be compared with the kernel itself: some time after the last change. */
export class Audit {
  readonly #onDue: () => void;
  #timer: NodeJS.Timeout | undefined;
  #lastActivity = 0;
  #after = quiet.shortest;
  isDue = false;

  constructor(onDue: () => void) {
    this.#onDue = onDue;
  }

  /** Something happened just now. */
  noteActivity(): void {
    this.#lastActivity = performance.now();
    this.#timer ??= this.#wait(this.#after);
  }

  /** One has been made. After one that found a difference the next waits for longer. */
  done({ took, isSame }: { took: number; isSame: boolean }): void {
    this.isDue = false;
    const least = Math.max(quiet.shortest, quiet.times * took);
    this.#after = Math.min(quiet.longest, isSame ? least : Math.max(least, this.#after * 2));
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #wait(milliseconds: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.#timer = undefined;
      const rest = this.#lastActivity + this.#after - performance.now();
      if (rest > 1) this.#timer = this.#wait(rest);
      else {
        this.isDue = true;
        this.#onDue();
      }
    }, milliseconds).unref();
  }
}
