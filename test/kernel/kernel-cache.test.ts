// Whatever happens on a machine, what the cache made of the lines of `ip monitor` is what a reading of the whole tables
// shows, or it says that it is in doubt.
// TEST_SEED=7 TEST_COUNT=3000 npx tap --timeout=0 test/kernel/kernel-cache.test.ts
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { IpMonitor } from '../../src/kernel/ip-monitor.ts';
import { KernelCache } from '../../src/kernel/kernel-cache.ts';
import { Names } from '../../src/kernel/names.ts';
import type { Reading } from '../../src/kernel/tables.ts';
import { countOf, seed } from '../form.ts';
import { drawing } from '../reliability/random.ts';
import { echoDevice, linesOf, type Machine, onMachine } from './machine.ts';
import { everyKind, happen, inSight, plainKinds } from './walk.ts';

const seeds = [seed, seed + 1];
const stepCount = countOf({ short: 60, whole: 120 });

/** How many steps in a hundred may end in doubt. */
const walks = [
  { name: 'plain', kinds: plainKinds, mostDoubts: 20 },
  { name: 'any', kinds: everyKind, mostDoubts: 30 },
];

t.jobs = 2;
for (const seed of seeds)
  for (const { name, kinds, mostDoubts } of walks)
    onMachine(
      t,
      { name: `${stepCount} steps of ${name} kind, seed ${seed}`, timeout: 60_000 + stepCount * 500 },
      async (machine, t) => {
        const draw = drawing(seed);
        const witness = await Witness.on(machine, t);
        const doubts: string[] = [];
        for (let step = 1; step <= stepCount && t.passing(); step++) {
          const burst = Array.from({ length: draw(4) === 0 ? 2 + draw(3) : 1 }, () =>
            happen(kinds, witness.reading, draw),
          );
          // Only one of a burst is the daemon's own: it does not act at another's moment.
          const own = burst.length === 1 ? (burst[0]?.own ?? []) : [];
          witness.cache.expect(own);
          const doubt = await witness.follow(
            burst.flatMap(({ commands }) => commands),
            `${seed}/${step}`,
          );
          if (doubt !== undefined) doubts.push(`${burst.map(({ kind }) => kind).join('+')}: ${doubt}`);
        }
        const share = (100 * doubts.length) / stepCount;
        t.comment(
          `${doubts.length} doubts in ${stepCount} steps, ${witness.refused} commands refused of ${witness.asked}, ${witness.repeats} comparisons repeated`,
        );
        if (process.env.CACHE_DOUBTS) for (const doubt of doubts) t.comment(doubt);
        t.ok(share <= mostDoubts, `${share.toFixed(1)} % of the steps end in doubt, ${mostDoubts} % may`);
      },
    );

/** A cache beside the kernel's tables themselves. */
class Witness {
  readonly #machine: Machine;
  readonly #t: Test;
  readonly #monitor: IpMonitor;
  readonly #names = new Names();
  readonly cache = new KernelCache(face => {
    if (this.#names.hear(face) === 'renamed') this.#isRenamed = true;
  });
  reading: Reading;
  asked = 0;
  refused = 0;
  repeats = 0;
  #isRenamed = false;
  #said: string[] = [];
  #story: string[] = [];
  #onEcho: () => void = () => undefined;

  static async on(machine: Machine, t: Test): Promise<Witness> {
    const { reading } = await machine.step([]);
    const environment = await machine.environment();
    const witness = new Witness({ machine, t, environment, reading });
    t.teardown(() => witness.#monitor.close());
    witness.#monitor.start();
    await witness.#begin();
    witness.#take((await machine.step([])).reading);
    return witness;
  }

  private constructor(of: { machine: Machine; t: Test; environment: NodeJS.ProcessEnv; reading: Reading }) {
    this.#machine = of.machine;
    this.#t = of.t;
    this.reading = of.reading;
    this.#monitor = new IpMonitor({
      environment: of.environment,
      restartAfter: 1000,
      onLine: line => this.#hear(line),
      onStart: () => undefined,
      onTrouble: message => {
        if (message !== undefined) of.t.fail(message);
      },
    });
  }

  /** Does something, and compares. @returns why the tables had to be read, if so. */
  async follow(commands: readonly string[], story: string): Promise<string | undefined> {
    this.#story = [...this.#story, `-- ${story}`, ...commands].slice(-30);
    this.asked += commands.length;
    for (let attempt = 1; ; attempt++) {
      this.#said = [];
      const heard = this.#heardOut();
      const { reading, refused } = await this.#machine.step(attempt === 1 ? commands : []);
      await heard;
      if (attempt === 1) this.refused += refused;
      const { doubt } = this.cache;
      if (this.#isRenamed) {
        this.#monitor.restart();
        await this.#begin();
        this.#take((await this.#machine.step([])).reading);
        return doubt ?? 'another name';
      }
      if (doubt !== undefined) {
        this.#take(reading);
        return doubt;
      }
      if (this.cache.rulesAreOld) {
        this.cache.rulesAreOld = false;
        for (const family of ['inet', 'inet6'] as const) this.cache.takeRules(family, reading.rules[family]);
      }
      if (this.#isRight(reading, attempt === 6 ? story : undefined)) {
        this.reading = reading;
        return undefined;
      }
      if (attempt === 6) return undefined;
      // What the kernel does by itself, as the end of an address's lifetime, may come between echo and reading.
      this.repeats++;
      await sleep(20 * attempt);
    }
  }

  #isRight(reading: Reading, story: string | undefined): boolean {
    const fresh = new KernelCache(() => undefined);
    fresh.take(reading);
    const [known, there] = [this.cache, fresh].map(cache => linesOf(cache.observed(inSight)));
    const difference = this.cache.differenceFrom(reading);
    const isSame = known?.join('\n') === there?.join('\n') && difference === undefined;
    if (story !== undefined && !isSame) {
      this.#t.same(
        [...(known ?? []), difference],
        [...(there ?? []), undefined],
        `${story}: what is known is what is there`,
      );
      for (const line of [
        ...this.#story,
        '-- the monitor said',
        ...this.#saidBefore,
        '-- and then',
        ...this.#said,
      ])
        this.#t.comment(line);
    }
    return isSame;
  }

  #saidBefore: string[] = [];

  /** What was said after the echo may be later than the reading. */
  #take(reading: Reading): void {
    this.cache.take(reading);
    this.reading = reading;
    for (const line of this.#said.slice(this.#said.findLastIndex(isEcho) + 1)) this.cache.hear(line);
  }

  #hear(line: string): void {
    this.cache.hear(line);
    this.#said.push(line);
    this.#saidBefore = [...this.#saidBefore, line].slice(-60);
    if (isEcho(line)) this.#onEcho();
  }

  async #heardOut(): Promise<void> {
    await new Promise<void>(resolve => {
      this.#onEcho = resolve;
    });
  }

  /** Waits until the monitor listens. */
  async #begin(): Promise<void> {
    this.#isRenamed = false;
    this.#names.forget();
    let isHeard = false;
    const heard = this.#heardOut().then(() => {
      isHeard = true;
    });
    while (!isHeard) {
      await this.#machine.ip(`link set dev ${echoDevice} group default`);
      await Promise.race([heard, sleep(5)]);
    }
    // What was asked for before it was heard comes now.
    await sleep(5);
  }
}

function isEcho(line: string): boolean {
  return line.startsWith('[LINK]') && line.includes(`: ${echoDevice}: <`);
}
