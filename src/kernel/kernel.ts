import type { Observed } from '../core/observed.ts';
import { commandOf, familyOfStep, type Step } from '../core/plan.ts';
import type { Family, Prefix } from '../core/prefix.ts';
import { identityOf, ownProtocol, parseRoute, type Route } from '../core/route.ts';
import { Audit } from './audit.ts';
import { type Answer, IpBatch, IpError } from './ip-batch.ts';
import { IpMonitor } from './ip-monitor.ts';
import { Mirror, type Reading } from './mirror.ts';
import { Names } from './names.ts';
import { parseAddress, parseForwarding, parseInterface, parseProxyNeighbour, parseRule } from './parse.ts';

/*
 * INVARIANTS
 * 1. Nobody is told what the kernel has before the monitor has been heard out: an echo that we made ourselves is the last
 *    thing it said. Where it cannot be heard out, the whole of the tables is read.
 * 2. What is read while the monitor speaks is brought up to date with what it said meanwhile.
 * 3. A step is carried out only after every step that it needs has been.
 */

/** What became of a step. A step that was left out because one that it needs failed has `skipped`. */
export interface StepResult {
  step: Step;
  error?: string;
  skipped?: boolean;
}

/** What of the kernel's tables matters. */
export interface Questions {
  /** Which interfaces forward, and which proxy neighbours there are. */
  forwarding: boolean;
  /** Foreign routes matter where they cover one of these, beside the defaults. */
  destinations: readonly Prefix[];
  /**
   * `all`: the monitor is heard out. `after`: right after a change of our own, which has heard it out itself. `heard`: what
   * it has said by itself will do, which leaves the kernel in peace; ip is asked whether it answers.
   */
  news: 'all' | 'after' | 'heard';
}

export interface KernelOptions {
  environment: NodeJS.ProcessEnv;
  /** How long one request to `ip` may take, in milliseconds. */
  deadline: number;
  /** Something changed that nobody has looked at yet. */
  onHint(): void;
  /** What is wrong with the monitor, or that it is well again. */
  onTrouble(message: string | undefined): void;
  /** What was known was not what the kernel had; it is now. */
  onDrift?(message: string): void;
}

const families = ['inet', 'inet6'] as const;
const routesOf = 'route show table main';
const ownRoutesOf = `route show table all proto ${ownProtocol.number}`;
const rulesOf = 'rule show';
const proxiesOf = 'neigh show proxy';
const forwardingOf = 'netconf show';
const wholeOf = {
  inet: ['link show', 'address show', routesOf, ownRoutesOf, rulesOf, proxiesOf],
  inet6: ['address show', routesOf, ownRoutesOf, rulesOf, proxiesOf],
} as const;

/** How long the monitor may take to repeat what was just done, in milliseconds; and a new one to begin to listen. */
const patience = { listening: 300, starting: 600, first: 5 };
/**
 * Nexthop objects (ip-nexthop(8)) that no route uses, made and taken away at once: the first and the second in turn, so that
 * one which was left behind is taken away too. A route would be seen in the tables; a device that is set to what it is has the
 * kernel look at every IPv6 route.
 */
const echo = {
  ids: [4_173_000_000, 4_173_000_001],
  isIn: /^\[NEXTHOP\](?:Deleted )?id 417300000[01] /,
} as const;
/** A monitor that cannot be heard out is tried again after so long, in milliseconds, and then more seldom; not after more than
 * the time in which the daemon tries again what is wrong. */
const deafness = { first: 1000, longest: 4000 };
const readAttempts = 4;

/** The kernel's routes, through two long-lived `ip -batch`, one a family, and one `ip monitor`. */
export class Kernel {
  readonly #options: KernelOptions;
  readonly #batches: Record<Family, IpBatch>;
  readonly #monitor: IpMonitor;
  readonly #names = new Names();
  readonly #mirror = new Mirror(face => this.#hearName(face));
  /** Has anybody asked to be told of changes? */
  #listens = false;
  /** The monitor has been heard since it was started: what comes after is the whole. */
  #isListening = false;
  #isCaughtUp = false;
  #deafUntil = 0;
  #deafFor = deafness.first;
  /** The lines that came while tables are read, which are to be heard afterwards. */
  #meanwhile: string[] | undefined;
  #echo: { line: string; heard(): void } | undefined;
  #turn = 0;
  readonly #audit = new Audit(() => this.#options.onHint());
  #seen = -1;

  constructor(options: KernelOptions) {
    const { environment, deadline, onTrouble } = options;
    this.#options = options;
    // What made one hang may have made the other hang: both are started anew, not one after the other's deadline.
    const onHung = () => {
      for (const family of families) this.#batches[family].close();
    };
    this.#batches = {
      inet: new IpBatch({ family: 'inet', environment, deadline, onHung }),
      inet6: new IpBatch({ family: 'inet6', environment, deadline, onHung }),
    };
    this.#monitor = new IpMonitor({
      environment,
      restartAfter: 1000,
      onLine: line => this.#hear(line),
      onStart: () => {
        this.#isListening = false;
        this.#mirror.suspect('another monitor listens');
      },
      onTrouble: message => {
        onTrouble(message);
        // What changed while nobody listened.
        if (message === undefined) options.onHint();
      },
    });
  }

  /** From now on changes are hinted at, and known without reading whole tables. */
  listen(): void {
    this.#listens = true;
    this.#monitor.start();
  }

  /** Has anything changed since somebody looked? */
  get hasNews(): boolean {
    return this.#mirror.version !== this.#seen || this.#audit.isDue;
  }

  /**
   * What the kernel has now, as far as it matters.
   * @throws IpError where ip cannot be asked.
   */
  async observe({ forwarding, destinations, news }: Questions): Promise<Observed> {
    if (news === 'all') await this.#change([]);
    if (news === 'heard') await this.#look('inet', [proxiesOf]);
    if (!this.#isCaughtUp || this.#mirror.doubt !== undefined) await this.#readUntilSure();
    if (this.#mirror.rulesAreOld) await this.#readRules();
    if (this.#audit.isDue) await this.#compare();
    const forwards = forwarding ? await this.#readForwarding() : undefined;
    this.#seen = this.#mirror.version;
    return { ...this.#mirror.observed(destinations), ...(forwards && { forwarding: forwards }) };
  }

  /**
   * All that the kernel has, read from it.
   * @throws IpError where ip cannot be asked.
   */
  async survey({ forwarding }: { forwarding: boolean }): Promise<Observed> {
    const { links, addresses, routes, rules, proxyNeighbours } = await this.#read();
    const forwards = forwarding ? await this.#readForwarding() : undefined;
    const both = <T>(lines: Reading['routes'], read: (line: string, family: Family) => T | undefined) =>
      families.flatMap(family => lines[family].flatMap(line => read(line, family) ?? []));
    return {
      interfaces: links.flatMap(line => parseInterface(line) ?? []),
      addresses: addresses.flatMap(line => parseAddress(line) ?? []),
      routes: distinct(both(routes, parseRoute)),
      rules: both(rules, parseRule),
      proxyNeighbours: both(proxyNeighbours, parseProxyNeighbour),
      ...(forwards && { forwarding: forwards }),
    };
  }

  /**
   * Carries out steps. What fails does not stop what does not need it. The results come in the order in which the kernel
   * was asked.
   * @throws IpError where ip cannot be asked.
   */
  async apply(steps: readonly Step[]): Promise<StepResult[]> {
    const results = new Map<Step, StepResult>();
    const waves = wavesOf(steps);
    this.#mirror.expect(
      steps.flatMap(step =>
        step.kind === 'add-route'
          ? [{ route: step.route, position: step.purpose === 'restore' ? 'last' : 'first' }]
          : [],
      ),
    );
    for (const wave of waves) {
      const due = wave.filter(step => {
        const isBlocked = step.needs.some(
          needed => results.get(needed)?.error !== undefined || results.get(needed)?.skipped,
        );
        if (isBlocked) results.set(step, { step, skipped: true });
        return !isBlocked;
      });
      const take = (ofFamily: readonly Step[], answers: readonly Answer[]) =>
        ofFamily.forEach((step, i) => {
          const error = failureOf(step, answers[i]);
          results.set(step, error === undefined ? { step } : { step, error });
          if (answers[i]?.error !== undefined) this.#mirror.suspect('a change was refused');
        });
      const inet = due.filter(step => familyOfStep(step) === 'inet');
      const inet6 = due.filter(step => familyOfStep(step) === 'inet6');
      if (inet6.length > 0) take(inet6, await this.#batches.inet6.change(inet6.map(commandOf)));
      if (wave === waves.at(-1)) take(inet, (await this.#change(inet.map(commandOf))).answers);
      else if (inet.length > 0) take(inet, await this.#batches.inet.change(inet.map(commandOf)));
    }
    // The monitor does not tell of proxy neighbours.
    if (steps.some(({ kind }) => kind.endsWith('-proxy'))) await this.#readProxyNeighbours();
    this.#mirror.expect([]);
    this.#audit.noteActivity();
    return [...results.values()];
  }

  close(): void {
    this.#audit.stop();
    this.#monitor.close();
    for (const family of families) this.#batches[family].close();
  }

  #hear(line: string): void {
    const { version } = this.#mirror;
    if (echo.isIn.test(line)) {
      if (this.#echo !== undefined && line.startsWith(this.#echo.line)) this.#echo.heard();
      return;
    }
    if (this.#meanwhile === undefined) this.#mirror.hear(line);
    else this.#meanwhile.push(line);
    if (this.#mirror.version === version) return;
    this.#audit.noteActivity();
    this.#options.onHint();
  }

  /** An `ip` that has been running for a while may know an interface by another name or index. */
  #hearName(face: { name: string; ifindex: number }): void {
    const news = this.#names.hear(face);
    if (news === 'none' && this.#names.size < mostNames) return;
    // The new ones may ask about whatever is there before anything is heard of it.
    this.#names.forget();
    for (const known of this.#mirror.interfaces) this.#names.hear(known);
    this.#names.hear(face);
    for (const family of families) this.#batches[family].renew();
    if (news !== 'renamed') return;
    this.#mirror.suspect(`${face.name} had another name`);
    if (this.#listens) this.#monitor.restart();
  }

  /**
   * Changes the IPv4 side, and waits until the monitor has said all that the kernel has done until then: the last thing is
   * an echo of what we did ourselves.
   */
  async #change(commands: readonly string[]): Promise<{ answers: Answer[]; isCaughtUp: boolean }> {
    const { inet } = this.#batches;
    this.#isCaughtUp = false;
    if (!this.#listens || performance.now() < this.#deafUntil) {
      return { answers: commands.length === 0 ? [] : await inet.change(commands), isCaughtUp: false };
    }
    this.#turn = 1 - this.#turn;
    const object = `id ${echo.ids[this.#turn]}`;
    const shout = [`nexthop add ${object} blackhole proto ${ownProtocol.number}`, `nexthop del ${object}`];
    const heard = new Promise<true>(resolve => {
      this.#echo = { line: `[NEXTHOP]Deleted ${object} `, heard: () => resolve(true) };
    });
    const answers = await inet.change([...commands, ...shout]);
    const [, deleted] = answers.splice(commands.length);
    if (deleted?.error === undefined) this.#isCaughtUp = await this.#hearOut(heard, shout);
    return { answers, isCaughtUp: this.#isCaughtUp };
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
        await this.#batches.inet.change(shout);
        isHeard = await isDoneWithin(heard, wait);
      }
    }
    this.#echo = undefined;
    if (isHeard) {
      this.#isListening = true;
      this.#deafFor = deafness.first;
      this.#options.onTrouble(undefined);
    } else {
      this.#options.onTrouble('ip monitor does not tell what was changed: whole tables are read instead');
      this.#deafUntil = performance.now() + this.#deafFor;
      this.#deafFor = Math.min(deafness.longest, this.#deafFor * 2);
      this.#monitor.restart();
    }
    return isHeard;
  }

  /** Reads the whole of the tables until nothing is in doubt. Where the monitor cannot be heard out, once. */
  async #readUntilSure(): Promise<void> {
    for (let attempt = 1; attempt <= readAttempts; attempt++) {
      const wasListening = this.#isListening;
      this.#meanwhile = [];
      try {
        this.#mirror.take(await this.#read());
        const isSound = this.#mirror.doubt === undefined;
        const { isCaughtUp } = await this.#change([]);
        if (!isCaughtUp && isSound) return;
      } finally {
        const lines = this.#meanwhile;
        this.#meanwhile = undefined;
        for (const line of lines) this.#mirror.hear(line);
      }
      if (wasListening && this.#isListening && this.#mirror.doubt === undefined) return;
    }
  }

  /** A whole reading beside what is known. Where something happens meanwhile, another will be due. */
  async #compare(): Promise<void> {
    const { version } = this.#mirror;
    const begun = performance.now();
    const reading = await this.#read();
    await this.#change([]);
    const took = performance.now() - begun;
    const isQuiet = this.#isCaughtUp && this.#mirror.version === version;
    const difference = isQuiet ? this.#mirror.differenceFrom(reading) : undefined;
    this.#audit.done({ took, isSame: difference === undefined });
    if (difference === undefined) return;
    this.#mirror.take(reading);
    this.#options.onDrift?.(
      `the kernel's tables were not as they were known, and were read anew: ${difference}`,
    );
  }

  async #read(): Promise<Reading> {
    const [inet, inet6] = await Promise.all([
      this.#look('inet', wholeOf.inet),
      this.#look('inet6', wholeOf.inet6),
    ]);
    const both = (command: string) => ({ inet: inet(command), inet6: inet6(command) });
    // ip leaves out what it was asked to filter by.
    const owned = (line: string) => `${line} proto ${ownProtocol.number}`;
    return {
      links: inet('link show'),
      addresses: [...inet('address show'), ...inet6('address show')],
      routes: {
        inet: [...inet(routesOf), ...inet(ownRoutesOf).map(owned)],
        inet6: [...inet6(routesOf), ...inet6(ownRoutesOf).map(owned)],
      },
      rules: both(rulesOf),
      proxyNeighbours: both(proxiesOf),
    };
  }

  async #readRules(): Promise<void> {
    this.#mirror.rulesAreOld = false;
    for (const family of families)
      this.#mirror.takeRules(family, (await this.#look(family, [rulesOf]))(rulesOf));
  }

  async #readProxyNeighbours(): Promise<void> {
    const [inet, inet6] = await Promise.all(families.map(family => this.#look(family, [proxiesOf])));
    this.#mirror.takeProxyNeighbours({ inet: inet?.(proxiesOf) ?? [], inet6: inet6?.(proxiesOf) ?? [] });
  }

  async #readForwarding(): Promise<Set<string>> {
    const look = await this.#look('inet', [forwardingOf, proxiesOf]);
    const inet6 = await this.#look('inet6', [proxiesOf]);
    this.#mirror.takeProxyNeighbours({ inet: look(proxiesOf), inet6: inet6(proxiesOf) });
    return new Set(look(forwardingOf).flatMap(line => parseForwarding(line) ?? []));
  }

  /** Asks anew where the table changed under the dump: half a table must not be taken for the whole. */
  async #look(family: Family, commands: readonly string[]): Promise<Look> {
    for (let attempt = 1; ; attempt++) {
      const answers = await this.#batches[family].ask(commands);
      const failed = answers.find(({ error }) => error !== undefined && !isNoSuchFamily(error));
      if (failed === undefined) return command => answers[commands.indexOf(command)]?.lines ?? [];
      if (attempt === readAttempts) throw new IpError(`the kernel's routes cannot be read: ${failed.error}`);
    }
  }
}

/** Names of interfaces that may be remembered before the processes are started anew. */
const mostNames = 50_000;

/**
 * Steps that may be handed to the kernel together, in their order. A step is in a later wave than those that it needs, and
 * never before a step of an earlier stage.
 */
function wavesOf(steps: readonly Step[]): Step[][] {
  const waves: Step[][] = [];
  const stages = [...new Set(steps.map(({ stage }) => stage))].sort((a, b) => a - b);
  for (const stage of stages) {
    const ofStage = steps.filter(step => step.stage === stage);
    const last = new Set(waves.at(-1));
    if (waves.length === 0 || ofStage.some(({ needs }) => needs.some(needed => last.has(needed))))
      waves.push(ofStage);
    else waves.at(-1)?.push(...ofStage);
  }
  return waves;
}

function isDoneWithin(done: Promise<true>, milliseconds: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>(resolve => {
    timer = setTimeout(resolve, milliseconds, false);
  });
  return Promise.race([done, late]).finally(() => clearTimeout(timer));
}

/** A kernel without IPv6 has no IPv6 routes. */
function isNoSuchFamily(error: string): boolean {
  return /not supported|Address family|table does not exist/i.test(error);
}

type Look = (command: string) => string[];

/** Own routes of the main table are in both answers. */
function distinct(routes: Route[]): Route[] {
  return [...new Map(routes.map(route => [identityOf(route), route])).values()];
}

/** What is there already need not be added, what is gone need not be deleted; the next look tells. */
function failureOf(step: Step, answer: Answer | undefined): string | undefined {
  if (answer === undefined) return 'ip gave no answer';
  const { error } = answer;
  if (error === undefined) return undefined;
  if (step.kind.startsWith('add-') && error.includes('File exists')) return undefined;
  if (step.kind.startsWith('delete-') && /No such (process|file or directory)|Cannot find device/.test(error))
    return undefined;
  return error.replace(/^(RTNETLINK answers|Error): /, '');
}
