// The daemon is killed at every boundary of everything that it does, in every mode, and started again.
// The long form dies at every boundary once, and TEST_SEED says in which manner: four in a row are all of them.
// TEST_COUNT: how many times at most, beside the kills in recovery.
import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { countOf, isLong, seed } from '../form.ts';
import { type HookResult, type Lab, scenario } from '../netns/lab.ts';
import { choose } from './choice.ts';
import { sayFigures } from './figure.ts';
import { Stopwatch } from './stopwatch.ts';
import { type Point, Victim } from './victim.ts';

/** How soon after a restart all must be right, in milliseconds. */
const recoveryLimit = 1500;
const modes = ['replace', 'metric', 'half', 'table', 'none'];
const most = countOf({ short: 60, whole: 620, long: 100_000 });

interface Step {
  name: string;
  /** The daemon is dead, and is killed again in its start. */
  whileDead?: true;
  act(lab: Lab): Promise<HookResult | undefined>;
}

const lease = (gateway: string) => `default via ${gateway} dev eth0 proto dhcp src 192.168.1.10 metric 100`;

const up: Step = {
  name: 'up',
  async act(lab) {
    await lab.connect('ppp0');
    return lab.hook('ip-up', 'ppp0');
  },
};
const loss: Step = {
  name: 'loss',
  async act(lab) {
    await lab.ip('link del ppp0');
    return undefined;
  },
};
const renewal: Step = {
  name: 'a lease with another gateway',
  async act(lab) {
    await lab.ip(`route replace ${lease('192.168.1.254')}`);
    return undefined;
  },
};
const arrival: Step = {
  name: 'another uplink, and better',
  async act(lab) {
    await lab.plug('eth1');
    await lab.addAddress('172.16.0.10/24 dev eth1');
    await lab.ip('route add default via 172.16.0.1 dev eth1 metric 50');
    return undefined;
  },
};
const departure: Step = {
  name: 'it goes',
  async act(lab) {
    await lab.ip('link del eth1');
    return undefined;
  },
};
const carrier: Step = {
  name: 'the uplink goes down and comes with another gateway',
  async act(lab) {
    await lab.ip('link set eth0 down');
    await lab.ip('link set eth0 up');
    await lab.ip(`route add ${lease('192.168.1.1')}`);
    return undefined;
  },
};
const down: Step = {
  name: 'down',
  async act(lab) {
    await lab.ip('link set ppp0 down');
    await lab.ip('address del 10.99.0.2 peer 10.99.0.1/32 dev ppp0');
    const result = await lab.hook('ip-down', 'ppp0');
    await lab.ip('link del ppp0');
    return result;
  },
};
const spooledUp: Step = { ...up, name: 'up while the daemon was dead', whileDead: true };
const unseenLoss: Step = { ...loss, name: 'loss while the daemon was dead', whileDead: true };

/** Ends as it begins. */
const cycle = [up, renewal, arrival, departure, carrier, down, spooledUp, loss, up, unseenLoss];
const steps = [...new Set(cycle)];

interface Injection extends Point {
  children: 'keep' | 'kill';
  /** The daemon is started again while the step goes on, or when it is done and the hook has left its event. */
  restart: 'at once' | 'late';
  /** It is killed in that start too, after so many points of it, and in the next. */
  again: readonly number[];
  /** How often the step may still be gone through without passing the point: a look that is put off comes with another. */
  tries: number;
}

const figures = {
  injections: 0,
  inRecovery: 0,
  points: 0,
  events: 0,
  missed: 0,
  lost: 0,
  wrong: 0,
  defaults: 0,
};
const recoveries: number[] = [];
t.teardown(() => {
  const sorted = recoveries.sort((a, b) => a - b);
  const at = (share: number) => Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0);
  sayFigures(t, 'kill', {
    seed,
    injections: figures.injections + figures.inRecovery,
    'of-these-in-recovery': figures.inRecovery,
    points: figures.points,
    'not-passed': figures.missed,
    events: figures.events,
    'lost-events': figures.lost,
    'wrong-tables': figures.wrong,
    'lost-defaults': figures.defaults,
    'median-recovery-ms': at(0.5),
    'worst-recovery-ms': at(1),
  });
});

for (const mode of modes) {
  scenario(
    `killed at every step, default-route = "${mode}"`,
    async (lab, t) => {
      const lane = await Lane.on(lab, t, mode);
      await lane.trace();
      await lane.inject(Math.ceil(most / modes.length));
      await lane.close();
    },
    { jobs: 2 },
  );
}

/** One machine on which the cycle is gone through again and again. */
class Lane {
  readonly #lab: Lab;
  readonly #t: Test;
  readonly #mode: string;
  #victim: Victim;
  /** What each step ends in where nothing disturbs it. */
  readonly #expected = new Map<Step, string>();
  readonly #due = new Map<Step, Injection[]>();
  #deaths = 0;

  static async on(lab: Lab, t: Test, mode: string): Promise<Lane> {
    const profiles = `[link.work]\ndefault-route = "${mode}"\nserver = "203.0.113.5"\nnetworks = ["10.20.0.0/16"]\n`;
    await lab.machine({ profiles, daemon: false });
    const lane = new Lane(lab, t, mode);
    await lane.#startOf(lane.#victim);
    return lane;
  }

  private constructor(lab: Lab, t: Test, mode: string) {
    this.#lab = lab;
    this.#t = t;
    this.#mode = mode;
    this.#victim = new Victim(lab, 'rest');
  }

  /** The cycle without a kill: which points there are, and what the steps end in. */
  async trace(): Promise<void> {
    for (const step of cycle) {
      await this.#begin(step, 'trace');
      this.#isFine(await step.act(this.#lab), step.name);
      if (step.whileDead) {
        this.#victim = new Victim(this.#lab, 'trace');
        await this.#startOf(this.#victim);
      }
      await this.#quiet();
      const points = pointsOf(this.#victim.points);
      if (!this.#due.has(step)) figures.points += points.length;
      this.#due.set(step, injectionsAt(points));
      this.#expected.set(step, await this.#look());
    }
    this.#t.equal(await this.#lab.table(), this.#lab.before, 'the cycle ends as it began');
  }

  /** Goes through the cycle, with a kill in every step, as long as there are points or `most` is reached. */
  async inject(most: number): Promise<void> {
    const share = Math.ceil(most / steps.length);
    for (const step of steps) this.#due.set(step, choose(this.#due.get(step) ?? [], share));
    const due = [...this.#due.values()].flat().length;
    while ([...this.#due.values()].some(due => due.length > 0) && this.#t.passing()) {
      for (const step of cycle) {
        const injection = this.#due.get(step)?.shift();
        await this.#run(step, injection);
        if (!this.#t.passing()) return;
      }
      this.#t.equal(await this.#lab.table(), this.#lab.before, 'byte for byte as before');
    }
    this.#t.ok(this.#deaths > due * 0.9, `${this.#deaths} of ${due} points were passed, and it died there`);
  }

  async close(): Promise<void> {
    await this.#victim.stop();
  }

  async #run(step: Step, injection: Injection | undefined): Promise<void> {
    const story = `${this.#mode}: ${step.name}: ${injection === undefined ? 'undisturbed' : JSON.stringify(injection)}`;
    await this.#begin(step, injection ?? 'rest');
    const acted = step.act(this.#lab);
    if (step.whileDead) {
      this.#isFine(await acted, story);
      this.#victim = new Victim(this.#lab, injection ?? 'rest');
    }
    let started: Stopwatch | undefined;
    if (injection !== undefined) {
      // Some points are passed only at the look after the last.
      const isOver = (step.whileDead ? this.#startOf(this.#victim) : acted).then(() => sleep(1500));
      await Promise.race([this.#victim.ended, isOver]);
      if (!this.#victim.isDead) await this.#victim.tell('rest');
      if (this.#victim.isDead) {
        figures.injections++;
        this.#deaths++;
        if (injection.restart === 'late') await acted;
        started = await this.#restart(injection);
      } else if (injection.tries > 1) this.#due.get(step)?.push({ ...injection, tries: injection.tries - 1 });
      else figures.missed++;
    }
    this.#isFine(await acted, story);
    await this.#isRight(step, { story, started });
  }

  /** Arms the daemon that runs, or ends it. */
  async #begin(step: Step, command: Injection | 'trace' | 'rest'): Promise<void> {
    if (step.whileDead) await this.#victim.kill();
    else await this.#victim.tell(command);
  }

  /** @returns the time since the last start. */
  async #restart({ again, children }: Injection): Promise<Stopwatch> {
    for (const nth of again) {
      this.#victim = new Victim(this.#lab, { name: 'any', nth, children });
      await this.#startOf(this.#victim);
      if (this.#victim.isDead) figures.inRecovery++;
      else await this.#victim.kill();
    }
    const stopwatch = new Stopwatch();
    this.#victim = new Victim(this.#lab, 'rest');
    return stopwatch;
  }

  async #isRight(
    step: Step,
    { story, started }: { story: string; started: Stopwatch | undefined },
  ): Promise<void> {
    const expected = this.#expected.get(step) ?? '';
    let found = '';
    for (const patience = performance.now() + 20_000; performance.now() < patience; await sleep(10)) {
      found = await this.#look(expected).catch(String);
      if (found === expected) break;
    }
    if (found !== expected) {
      figures.wrong++;
      if (savedIn(expected).some(route => !found.includes(route))) figures.defaults++;
      this.#t.equal(found, expected, story, { journal: this.#victim.log });
    } else if (started !== undefined) {
      const took = started.read(this.#victim.pid);
      recoveries.push(took);
      if (took > recoveryLimit)
        this.#t.fail(`${story}: right after ${Math.round(took)} ms`, { journal: this.#victim.log });
    }
  }

  #isFine(result: HookResult | undefined, story: string): void {
    if (result === undefined) return;
    figures.events++;
    if (result.exitCode === 0 && result.stderr === '') return;
    figures.lost++;
    this.#t.fail(`${story}: the hook: ${result.exitCode} ${result.stderr}`);
  }

  /** How things stand: by the daemon's word, whether an event waits, and in the kernel where the word is as expected. */
  async #look(expected?: string): Promise<string> {
    const { status } = await this.#lab.status();
    const spool = await readdir(`${this.#lab.directory}/run/spool`);
    const waiting = spool.filter(name => !name.startsWith('.')).join(' ');
    const said = `${status}\nwaiting: ${waiting || 'none'}\n`;
    return expected?.startsWith(said) === false ? said : said + (await this.#lab.table());
  }

  /** Waits until the daemon answers, or is dead. */
  async #startOf(victim: Victim): Promise<void> {
    await this.#lab.until(() => victim.isDead || this.#lab.status().then(Boolean, () => false), 10_000);
  }

  /** Waits until no point has been passed for longer than the daemon ever puts off a look. */
  async #quiet(): Promise<void> {
    for (let since = performance.now(), count = -1; performance.now() - since < 1300; await sleep(50)) {
      if (count !== this.#victim.points.length) since = performance.now();
      count = this.#victim.points.length;
    }
  }
}

/** The routes that stand in a status as saved. */
function savedIn(status: string): string[] {
  return /; saved: (.*)$/m.exec(status)?.[1]?.split(', ') ?? [];
}

function pointsOf(names: readonly string[]): Point[] {
  const counts = new Map<string, number>();
  return names
    .filter(name => !name.startsWith('control.sock'))
    .map(name => {
      const nth = (counts.get(name) ?? 0) + 1;
      counts.set(name, nth);
      return { name, nth };
    });
}

/** Every point in a manner, and then in the others. */
function injectionsAt(points: readonly Point[]): Injection[] {
  return (isLong ? [0] : [0, 1, 2, 3]).flatMap(round =>
    points.map((point, i): Injection => {
      const manner = i + round + seed;
      return {
        ...point,
        children: manner % 2 === 0 ? 'keep' : 'kill',
        restart: manner % 4 < 2 ? 'at once' : 'late',
        again: manner % 2 === 0 ? [1 + ((i * 7 + manner) % 90), 1 + ((i * 11 + manner) % 90)] : [],
        tries: 5,
      };
    }),
  );
}
