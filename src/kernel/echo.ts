import { ownProtocol } from '../core/route/route.ts';
import type { Answer } from './exchange.ts';

export interface EchoOptions {
  /** Has the kernel carry out commands, in their order. */
  change(commands: readonly string[]): Promise<Answer[]>;
  /** The monitor cannot be heard out: another one is to listen. */
  onDeaf(): void;
  /** The other one has had its time to begin. */
  onAnother(): void;
  /** What is wrong with the monitor, or that it is well again. */
  onTrouble(message: string | undefined): void;
}

/** How long the monitor may take to repeat what was just done, in milliseconds; and a new one to begin to listen. */
const patience = { listening: 300, starting: 600, first: 5 };
/**
 * Nexthop objects (ip-nexthop(8)) that no route uses, made and taken away at once: the first and the second in turn, so that
 * one which was left behind is taken away too. A route would be seen in the tables; a device that is set to what it is has the
 * kernel look at every IPv6 route.
 */
const ids = [4_173_000_000, 4_173_000_001];
const isOurs = /^\[NEXTHOP\](?:Deleted )?id 417300000[01] /;
/** A monitor that cannot be heard out is tried again after so long, in milliseconds, and then more seldom; not after more than
 * the time in which the daemon tries again what is wrong. */
const deafness = { first: 1000, longest: 4000 };

/** What is done behind our changes, so that the monitor's word of it is known to be the last. */
export class Echo {
  readonly #options: EchoOptions;
  /** Is there a monitor at all? */
  #isOn = false;
  /** The monitor has been heard since it was started: what comes after is the whole. */
  #isListening = false;
  #isCaughtUp = false;
  #deafUntil = 0;
  #deafFor = deafness.first;
  #awaited: { line: string; heard(): void } | undefined;
  #turn = 0;

  constructor(options: EchoOptions) {
    this.#options = options;
  }

  /** Has the monitor been heard since it was started? */
  get isListening(): boolean {
    return this.#isListening;
  }

  /** Was it heard out at the last change? */
  get isCaughtUp(): boolean {
    return this.#isCaughtUp;
  }

  /** Another monitor begins to listen. */
  begin(): void {
    this.#isOn = true;
    this.#isListening = false;
  }

  /** Takes a line of the monitor's, if it is about what was done here. */
  takes(line: string): boolean {
    if (!isOurs.test(line)) return false;
    if (this.#awaited !== undefined && line.startsWith(this.#awaited.line)) this.#awaited.heard();
    return true;
  }

  /** Carries out commands, and waits until the monitor has said all that the kernel has done until then. */
  async behind(commands: readonly string[]): Promise<Answer[]> {
    const { change } = this.#options;
    this.#isCaughtUp = false;
    if (!this.#isOn || performance.now() < this.#deafUntil)
      return commands.length === 0 ? [] : change(commands);
    this.#turn = 1 - this.#turn;
    const object = `id ${ids[this.#turn]}`;
    const shout = [`nexthop add ${object} blackhole proto ${ownProtocol.number}`, `nexthop del ${object}`];
    const heard = new Promise<true>(resolve => {
      this.#awaited = { line: `[NEXTHOP]Deleted ${object} `, heard: () => resolve(true) };
    });
    const answers = await change([...commands, ...shout]);
    const [, deleted] = answers.splice(commands.length);
    if (deleted?.error === undefined) this.#isCaughtUp = await this.#hearOut(heard, shout);
    return answers;
  }

  async #hearOut(heard: Promise<true>, shout: readonly string[]): Promise<boolean> {
    let isHeard = await isDoneWithin(heard, this.#isListening ? patience.listening : patience.first);
    if (!this.#isListening) {
      // It says nothing of what was done before it listened.
      const begun = performance.now();
      for (
        let wait = patience.first;
        !isHeard && performance.now() - begun < patience.starting;
        wait *= 1.5
      ) {
        await this.#options.change(shout);
        isHeard = await isDoneWithin(heard, wait);
      }
    }
    this.#awaited = undefined;
    if (isHeard) {
      this.#isListening = true;
      this.#deafFor = deafness.first;
      this.#options.onTrouble(undefined);
    } else {
      this.#options.onTrouble('ip monitor does not tell what was changed: whole tables are read instead');
      this.#deafUntil = performance.now() + this.#deafFor;
      // Where the next one hears, nobody need wait until the daemon tries again what is wrong.
      setTimeout(this.#options.onAnother, this.#deafFor).unref();
      this.#deafFor = Math.min(deafness.longest, this.#deafFor * 2);
      this.#options.onDeaf();
    }
    return isHeard;
  }
}

function isDoneWithin(done: Promise<true>, milliseconds: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>(resolve => {
    timer = setTimeout(resolve, milliseconds, false);
  });
  return Promise.race([done, late]).finally(() => clearTimeout(timer));
}
