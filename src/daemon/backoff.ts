/*
 * INVARIANTS
 * 1. At most one run is due or under way; a call during a run makes one more run after it.
 * 2. A call is followed by a run within `slowest` milliseconds.
 * 3. The delay grows threefold with every run that changed something (exponential backoff), so that two managers that undo each
 *    other's work do not spin.
 */

export interface BackoffOptions {
  /** Calls within this time share one run, in milliseconds. */
  quickest: number;
  /** The longest time between a call and its run, in milliseconds. */
  slowest: number;
  /** After this time without a change the delay is `quickest` again, in milliseconds. */
  calmAfter: number;
  /** Does the work; tells whether anything had to be changed. */
  run(): Promise<boolean>;
}

/** Runs something soon after it is called for: calls are debounced, and runs that change something back off. */
export class Backoff {
  readonly #options: BackoffOptions;
  #delay: number;
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  #again = false;
  #lastChange = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
    this.#delay = options.quickest;
  }

  call(): void {
    if (this.#running) this.#again = true;
    else this.#timer ??= setTimeout(() => void this.#run(), this.#delay);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#again = false;
  }

  async #run(): Promise<void> {
    this.#timer = undefined;
    this.#running = true;
    try {
      const { quickest, slowest, calmAfter } = this.#options;
      const changed = await this.#options.run();
      const now = performance.now();
      if (changed) {
        this.#delay = Math.min(slowest, this.#delay * 3);
        this.#lastChange = now;
      } else if (now - this.#lastChange > calmAfter) this.#delay = quickest;
    } finally {
      this.#running = false;
      if (this.#again) {
        this.#again = false;
        this.call();
      }
    }
  }
}
