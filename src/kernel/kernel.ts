import type { Step } from '../core/decide/plan.ts';
import type { Observed } from '../core/route/observed.ts';
import { type Family, families } from '../core/route/prefix.ts';
import { identityOf, type Route } from '../core/route/route.ts';
import { parseRoute } from '../core/route/route-line.ts';
import type { Questions, StepResult } from '../daemon/rooms.ts';
import { Audit } from './audit.ts';
import { Barrier } from './barrier.ts';
import { Executor } from './executor.ts';
import { IpBatch } from './ip-batch.ts';
import { IpMonitor } from './ip-monitor.ts';
import { KernelCache } from './kernel-cache.ts';
import { Names } from './names.ts';
import { parseAddress, parseInterface, parseProxyNeighbour, parseRule } from './parse.ts';
import { type Reading, Tables } from './tables.ts';

/*
 * INVARIANTS
 * 1. What `observe` returns holds everything that the kernel did before the last barrier. Where the monitor did not announce
 *    that barrier, whole tables are read.
 * 2. Lines of the monitor that come while tables are read are applied to what was read.
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
  readonly #cache = new KernelCache(face => this.#hearName(face));
  readonly #tables: Tables;
  readonly #barrier: Barrier;
  readonly #executor: Executor;
  /** Has anybody asked to be told of changes? */
  #listens = false;
  /** The lines that came while tables are read, which are to be heard afterwards. */
  #meanwhile: string[] | undefined;
  readonly #audit = new Audit(() => this.#options.onHint());
  #seen = -1;

  constructor(options: KernelOptions) {
    const { environment, deadline, onTrouble } = options;
    this.#options = options;
    // What made one hang may have made the others hang: all are started anew, not one after the other's deadline.
    const onHung = (since: number) => {
      for (const family of families) this.#batches[family].distrust(since);
    };
    const ofFamily = (family: Family) => ({ family, environment, deadline, onHung });
    this.#batches = { inet: new IpBatch(ofFamily('inet')), inet6: new IpBatch(ofFamily('inet6')) };
    this.#tables = new Tables(this.#batches);
    this.#barrier = new Barrier({
      change: async commands => (await this.#batches.inet.change(commands)).at(-1)?.error === undefined,
      onMissed: () => this.#monitor.restart(),
      onRetry: () => options.onHint(),
      onTrouble,
    });
    this.#executor = new Executor({
      batches: this.#batches,
      barrier: this.#barrier,
      onRefused: () => this.#cache.suspect('a change was refused'),
    });
    this.#monitor = new IpMonitor({
      environment,
      restartAfter: 1000,
      onLine: line => this.#hear(line),
      onStart: () => {
        this.#barrier.begin();
        this.#cache.suspect('another monitor listens');
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
    this.#batches.inet.prepare();
  }

  /** Has anything changed since somebody looked? */
  get hasNews(): boolean {
    return this.#cache.version !== this.#seen || this.#audit.isDue;
  }

  /** What the kernel has now, as far as it matters. @throws IpError where ip cannot be asked. */
  async observe({ forwarding, destinations, news }: Questions): Promise<Observed> {
    if (news === 'all') await this.#executor.carryOut([]);
    if (!this.#barrier.isCaughtUp || this.#cache.doubt !== undefined) await this.#readUntilSure();
    if (this.#cache.rulesAreOld) await this.#readRules();
    if (this.#audit.isDue) await this.#compare();
    // 'heard': something is asked in any case, to know that ip answers.
    const read =
      forwarding || news === 'heard' || this.#cache.proxyNeighboursAreOld
        ? await this.#tables.unannounced({ forwarding })
        : undefined;
    if (read !== undefined) this.#cache.takeProxyNeighbours(read.proxyNeighbours);
    this.#seen = this.#cache.version;
    return {
      ...this.#cache.observed(destinations),
      ...(read && forwarding && { forwarding: read.forwarding }),
    };
  }

  /** All that the kernel has, read from it. @throws IpError where ip cannot be asked. */
  async survey({ forwarding }: { forwarding: boolean }): Promise<Observed> {
    const { links, addresses, routes, rules, proxyNeighbours } = await this.#tables.read();
    const read = forwarding ? await this.#tables.unannounced({ forwarding }) : undefined;
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

  /** Carries out steps: see Executor. @throws IpError where ip cannot be asked. */
  async apply(steps: readonly Step[]): Promise<StepResult[]> {
    this.#cache.expect(
      steps.flatMap(step =>
        step.kind === 'add-route'
          ? [{ route: step.route, position: step.purpose === 'restore' ? 'last' : 'first' }]
          : [],
      ),
    );
    const results = await this.#executor.carryOut(steps);
    if (steps.some(({ kind }) => kind.endsWith('-proxy'))) this.#cache.proxyNeighboursAreOld = true;
    this.#cache.expect([]);
    this.#audit.noteActivity();
    return results;
  }

  close(): void {
    this.#audit.stop();
    this.#monitor.close();
    for (const family of families) this.#batches[family].close();
  }

  #hear(line: string): void {
    const { version } = this.#cache;
    if (this.#barrier.takes(line)) return;
    if (this.#meanwhile === undefined) this.#cache.hear(line);
    else this.#meanwhile.push(line);
    if (this.#cache.version === version) return;
    this.#audit.noteActivity();
    this.#options.onHint();
  }

  /** An `ip` that has been running for a while may know an interface by another name or index. */
  #hearName(face: { name: string; ifindex: number }): void {
    const news = this.#names.hear(face);
    if (news === 'none' && this.#names.size < mostNames) return;
    // The new ones may ask about whatever is there before anything is heard of it.
    this.#names.forget();
    for (const known of this.#cache.interfaces) this.#names.hear(known);
    this.#names.hear(face);
    for (const family of families) this.#batches[family].renew();
    if (news !== 'renamed') return;
    this.#cache.suspect(`${face.name} had another name`);
    if (this.#listens) this.#monitor.restart();
  }

  /** Reads whole tables until nothing is in doubt; once where the monitor does not announce the barrier. */
  async #readUntilSure(): Promise<void> {
    for (let attempt = 1; attempt <= readAttempts; attempt++) {
      const wasListening = this.#barrier.isListening;
      this.#meanwhile = [];
      try {
        this.#cache.take(await this.#tables.read());
        const isSound = this.#cache.doubt === undefined;
        await this.#executor.carryOut([]);
        if (!this.#barrier.isCaughtUp && isSound) return;
      } finally {
        const lines = this.#meanwhile;
        this.#meanwhile = undefined;
        for (const line of lines) this.#cache.hear(line);
      }
      if (wasListening && this.#barrier.isListening && this.#cache.doubt === undefined) return;
    }
  }

  /** A whole reading beside what is known. Where something happens meanwhile, another will be due. */
  async #compare(): Promise<void> {
    const { version } = this.#cache;
    const begun = performance.now();
    const reading = await this.#tables.read();
    await this.#executor.carryOut([]);
    const took = performance.now() - begun;
    const isQuiet = this.#barrier.isCaughtUp && this.#cache.version === version;
    const difference = isQuiet ? this.#cache.differenceFrom(reading) : undefined;
    this.#audit.done({ took, isSame: difference === undefined });
    if (difference === undefined) return;
    this.#cache.take(reading);
    this.#options.onDrift?.(
      `the kernel's tables were not as they were known, and were read anew: ${difference}`,
    );
  }

  async #readRules(): Promise<void> {
    this.#cache.rulesAreOld = false;
    for (const family of families) this.#cache.takeRules(family, await this.#tables.rules(family));
  }
}

/** Own routes of the main table are in both answers. */
function distinct(routes: Route[]): Route[] {
  return [...new Map(routes.map(route => [identityOf(route), route])).values()];
}
