import { commandOf, familyOfStep, type Step } from '../core/decide/plan.ts';
import type { Observed } from '../core/route/observed.ts';
import { type Family, families } from '../core/route/prefix.ts';
import { identityOf, type Route } from '../core/route/route.ts';
import { parseRoute } from '../core/route/route-line.ts';
import type { Questions, StepResult } from '../daemon/rooms.ts';
import { Audit } from './audit.ts';
import { Echo } from './echo.ts';
import type { Answer } from './exchange.ts';
import { IpBatch } from './ip-batch.ts';
import { IpMonitor } from './ip-monitor.ts';
import { Mirror, type Reading } from './mirror.ts';
import { Names } from './names.ts';
import { parseAddress, parseInterface, parseProxyNeighbour, parseRule } from './parse.ts';
import { failureOf, isUnsure, wavesOf } from './steps.ts';
import { Tables } from './tables.ts';

/*
 * INVARIANTS
 * 1. Nobody is told what the kernel has before the monitor has been heard out: an echo that we made ourselves is the last
 *    thing it said. Where it cannot be heard out, the whole of the tables is read.
 * 2. What is read while the monitor speaks is brought up to date with what it said meanwhile.
 * 3. A step is carried out only after every step that it needs has been.
 */

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

/** How often the whole is read while something is in doubt. */
const readAttempts = 4;
/** Names of interfaces that may be remembered before the processes are started anew. */
const mostNames = 50_000;

/** The kernel's routes, through two long-lived `ip -batch`, one a family, and one `ip monitor`. */
export class Kernel {
  readonly #options: KernelOptions;
  readonly #batches: Record<Family, IpBatch>;
  readonly #monitor: IpMonitor;
  readonly #names = new Names();
  readonly #mirror = new Mirror(face => this.#hearName(face));
  readonly #tables: Tables;
  readonly #echo: Echo;
  /** Has anybody asked to be told of changes? */
  #listens = false;
  /** The lines that came while tables are read, which are to be heard afterwards. */
  #meanwhile: string[] | undefined;
  readonly #audit = new Audit(() => this.#options.onHint());
  #seen = -1;

  constructor(options: KernelOptions) {
    const { environment, deadline, onTrouble } = options;
    this.#options = options;
    // What made one hang may have made the other hang: both are started anew, not one after the other's deadline.
    const onHung = (since: number) => {
      for (const family of families) this.#batches[family].distrust(since);
    };
    this.#batches = {
      inet: new IpBatch({ family: 'inet', environment, deadline, onHung }),
      inet6: new IpBatch({ family: 'inet6', environment, deadline, onHung }),
    };
    this.#tables = new Tables(this.#batches);
    this.#echo = new Echo({
      change: commands => this.#batches.inet.change(commands),
      onDeaf: () => this.#monitor.restart(),
      onAnother: () => options.onHint(),
      onTrouble,
    });
    this.#monitor = new IpMonitor({
      environment,
      restartAfter: 1000,
      onLine: line => this.#hear(line),
      onStart: () => {
        this.#echo.begin();
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
    if (news === 'all') await this.#echo.behind([]);
    if (news === 'heard') await this.#tables.touch();
    if (!this.#echo.isCaughtUp || this.#mirror.doubt !== undefined) await this.#readUntilSure();
    if (this.#mirror.rulesAreOld) await this.#readRules();
    if (this.#audit.isDue) await this.#compare();
    const read = forwarding ? await this.#tables.forwarding() : undefined;
    if (read !== undefined) this.#mirror.takeProxyNeighbours(read.proxyNeighbours);
    this.#seen = this.#mirror.version;
    return { ...this.#mirror.observed(destinations), ...(read && { forwarding: read.forwarding }) };
  }

  /**
   * All that the kernel has, read from it.
   * @throws IpError where ip cannot be asked.
   */
  async survey({ forwarding }: { forwarding: boolean }): Promise<Observed> {
    const { links, addresses, routes, rules, proxyNeighbours } = await this.#tables.read();
    const read = forwarding ? await this.#tables.forwarding() : undefined;
    const both = <T>(lines: Reading['routes'], read: (line: string, family: Family) => T | undefined) =>
      families.flatMap(family => lines[family].flatMap(line => read(line, family) ?? []));
    return {
      interfaces: links.flatMap(line => parseInterface(line) ?? []),
      addresses: addresses.flatMap(line => parseAddress(line) ?? []),
      routes: distinct(both(routes, parseRoute)),
      rules: both(rules, parseRule),
      proxyNeighbours: both(proxyNeighbours, parseProxyNeighbour),
      ...(read && { forwarding: read.forwarding }),
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
        const blocking = step.needs.flatMap(needed => {
          const result = results.get(needed);
          return result?.error !== undefined || result?.skipped ? result : [];
        });
        if (blocking.length === 0) return true;
        results.set(step, { step, skipped: true, unsure: blocking.every(({ unsure }) => unsure === true) });
        return false;
      });
      const take = (ofFamily: readonly Step[], answers: readonly Answer[]) =>
        ofFamily.forEach((step, i) => {
          const error = failureOf(step, answers[i]);
          results.set(step, error === undefined ? { step } : { step, error, unsure: isUnsure(step, error) });
          if (answers[i]?.error !== undefined) this.#mirror.suspect('a change was refused');
        });
      const inet = due.filter(step => familyOfStep(step) === 'inet');
      const inet6 = due.filter(step => familyOfStep(step) === 'inet6');
      if (inet6.length > 0) take(inet6, await this.#batches.inet6.change(inet6.map(commandOf)));
      if (wave === waves.at(-1)) take(inet, await this.#echo.behind(inet.map(commandOf)));
      else if (inet.length > 0) take(inet, await this.#batches.inet.change(inet.map(commandOf)));
    }
    // The monitor does not tell of proxy neighbours.
    if (steps.some(({ kind }) => kind.endsWith('-proxy')))
      this.#mirror.takeProxyNeighbours(await this.#tables.proxyNeighbours());
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
    if (this.#echo.takes(line)) return;
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

  /** Reads the whole of the tables until nothing is in doubt. Where the monitor cannot be heard out, once. */
  async #readUntilSure(): Promise<void> {
    for (let attempt = 1; attempt <= readAttempts; attempt++) {
      const wasListening = this.#echo.isListening;
      this.#meanwhile = [];
      try {
        this.#mirror.take(await this.#tables.read());
        const isSound = this.#mirror.doubt === undefined;
        await this.#echo.behind([]);
        if (!this.#echo.isCaughtUp && isSound) return;
      } finally {
        const lines = this.#meanwhile;
        this.#meanwhile = undefined;
        for (const line of lines) this.#mirror.hear(line);
      }
      if (wasListening && this.#echo.isListening && this.#mirror.doubt === undefined) return;
    }
  }

  /** A whole reading beside what is known. Where something happens meanwhile, another will be due. */
  async #compare(): Promise<void> {
    const { version } = this.#mirror;
    const begun = performance.now();
    const reading = await this.#tables.read();
    await this.#echo.behind([]);
    const took = performance.now() - begun;
    const isQuiet = this.#echo.isCaughtUp && this.#mirror.version === version;
    const difference = isQuiet ? this.#mirror.differenceFrom(reading) : undefined;
    this.#audit.done({ took, isSame: difference === undefined });
    if (difference === undefined) return;
    this.#mirror.take(reading);
    this.#options.onDrift?.(
      `the kernel's tables were not as they were known, and were read anew: ${difference}`,
    );
  }

  async #readRules(): Promise<void> {
    this.#mirror.rulesAreOld = false;
    for (const family of families) this.#mirror.takeRules(family, await this.#tables.rules(family));
  }
}

/** Own routes of the main table are in both answers. */
function distinct(routes: Route[]): Route[] {
  return [...new Map(routes.map(route => [identityOf(route), route])).values()];
}
