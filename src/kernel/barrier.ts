import { ownProtocol } from '../core/route/route.ts';

export interface BarrierOptions {
  /** Has the kernel carry out commands, in their order. @returns false where the last of them was refused */
  change(commands: readonly string[]): Promise<boolean>;
  /** The monitor did not announce the barrier: another one is to be started. */
  onMissed(): void;
  /** The other monitor has had its time to start. */
  onRetry(): void;
  /** What is wrong with the monitor; undefined: nothing any more. */
  onTrouble(message: string | undefined): void;
}

/** How long the monitor may take to announce a barrier, and how long a new one may take to start; milliseconds. */
const patience = { listening: 300, starting: 600, first: 5 };
/**
 * Nexthop objects (ip-nexthop(8)) that no route uses, added and deleted at once; alternately, so that the announcement of one
 * is not taken for that of the next. A route would be seen in the tables; setting a device to what it is has the kernel go
 * through every IPv6 route (rt6_sync_up()).
 */
const ids = [4_173_000_000, 4_173_000_001];
const isOurs = /^\[NEXTHOP\](?:Deleted )?id 417300000[01] /;
/** How long a monitor that missed a barrier is not waited for, in milliseconds; doubled up to the daemon's retry interval. */
const backoff = { first: 1000, longest: 4000 };

/** A change without effect behind others: the kernel announces in order, so all before it has been announced. */
export class Barrier {
  readonly #options: BarrierOptions;
  /** Has a monitor been started at all? */
  #isOn = false;
  #isListening = false;
  #isCaughtUp = false;
  #ignoredUntil = 0;
  #ignoredFor = backoff.first;
  #awaited: { commands: readonly string[]; line: string; isHeard: Promise<true>; hear(): void } | undefined;
  #turn = 0;

  constructor(options: BarrierOptions) {
    this.#options = options;
  }

  /** Has the running monitor announced a barrier since it was started? */
  get isListening(): boolean {
    return this.#isListening;
  }

  /** Did the monitor announce the last barrier? */
  get isCaughtUp(): boolean {
    return this.#isCaughtUp;
  }

  /** Another monitor was started. */
  begin(): void {
    this.#isOn = true;
    this.#isListening = false;
  }

  /** Takes a line of the monitor if it announces a barrier. */
  takes(line: string): boolean {
    if (!isOurs.test(line)) return false;
    if (this.#awaited !== undefined && line.startsWith(this.#awaited.line)) this.#awaited.hear();
    return true;
  }

  /** The commands of a new barrier; `wait` must follow. None where the monitor is not to be waited for. */
  raise(): readonly string[] {
    this.#isCaughtUp = false;
    this.#awaited = undefined;
    if (!this.#isOn || performance.now() < this.#ignoredUntil) return [];
    this.#turn = 1 - this.#turn;
    const object = `id ${ids[this.#turn]}`;
    let hear: () => void = () => undefined;
    const isHeard = new Promise<true>(resolve => {
      hear = () => resolve(true);
    });
    const commands = [`nexthop add ${object} blackhole proto ${ownProtocol.number}`, `nexthop del ${object}`];
    this.#awaited = { commands, line: `[NEXTHOP]Deleted ${object} `, isHeard, hear };
    return commands;
  }

  /** Waits until the monitor announces the barrier whose commands have just been carried out. */
  async wait(): Promise<void> {
    if (this.#awaited === undefined) return;
    const { isHeard, commands } = this.#awaited;
    let isDone = await isDoneWithin(isHeard, this.#isListening ? patience.listening : patience.first);
    if (!this.#isListening) {
      // A new monitor announces nothing that was done before it listened.
      const begun = performance.now();
      for (let wait = patience.first; !isDone && performance.now() - begun < patience.starting; wait *= 1.5) {
        await this.#options.change(commands);
        isDone = await isDoneWithin(isHeard, wait);
      }
    }
    this.#awaited = undefined;
    this.#isCaughtUp = isDone;
    if (isDone) this.#noteAnnounced();
    else this.#noteMissed();
  }

  /** Makes a barrier behind all that has been done until now, and waits for it. Deletes one that was left behind. */
  async pass(): Promise<void> {
    const commands = this.raise();
    if (commands.length === 0) return;
    const leftBehind = `nexthop del id ${ids[1 - this.#turn]}`;
    if (await this.#options.change([leftBehind, ...commands])) await this.wait();
  }

  #noteAnnounced(): void {
    this.#isListening = true;
    this.#ignoredFor = backoff.first;
    this.#options.onTrouble(undefined);
  }

  #noteMissed(): void {
    this.#options.onTrouble('ip monitor does not tell what was changed: whole tables are read instead');
    this.#ignoredUntil = performance.now() + this.#ignoredFor;
    // The next one may listen before the daemon tries again by itself.
    setTimeout(this.#options.onRetry, this.#ignoredFor).unref();
    this.#ignoredFor = Math.min(backoff.longest, this.#ignoredFor * 2);
    this.#options.onMissed();
  }
}

function isDoneWithin(done: Promise<true>, milliseconds: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>(resolve => {
    timer = setTimeout(resolve, milliseconds, false);
  });
  return Promise.race([done, late]).finally(() => clearTimeout(timer));
}
