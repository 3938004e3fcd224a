import type { Interface, Observed } from '../core/observed.ts';
import { commandOf, familyOfStep, type Step } from '../core/plan.ts';
import type { Family } from '../core/prefix.ts';
import { identityOf, ownProtocol, parseRoute, type Route } from '../core/route.ts';
import { type Answer, IpBatch, IpError } from './ip-batch.ts';
import { parseAddress, parseForwarding, parseInterface, parseProxyNeighbour, parseRule } from './parse.ts';

/** What became of a step. A step that was left out because one that it needs failed has `skipped`. */
export interface StepResult {
  step: Step;
  error?: string;
  skipped?: boolean;
}

const routesOf = 'route show table main';
const ownRoutesOf = `route show table all proto ${ownProtocol.number}`;
const forwardingOf = 'netconf show';
const questions = {
  inet: ['link show', 'address show', routesOf, ownRoutesOf, 'rule show', 'neigh show proxy'],
  inet6: ['address show', routesOf, ownRoutesOf, 'rule show', 'neigh show proxy'],
} as const;

/** The kernel's routes, asked and changed through two long-lived `ip -batch`, one a family. */
export class Kernel {
  readonly #batches: Record<Family, IpBatch>;
  /** The name that each interface had at the last look, by index. */
  #names = new Map<number, string>();

  constructor(options: { environment: NodeJS.ProcessEnv; deadline: number }) {
    this.#batches = {
      inet: new IpBatch({ family: 'inet', ...options }),
      inet6: new IpBatch({ family: 'inet6', ...options }),
    };
  }

  /**
   * What the kernel has now.
   * @throws IpError where ip cannot be asked.
   */
  async observe({ forwarding }: { forwarding: boolean }): Promise<Observed> {
    const [inet, inet6] = await Promise.all([
      this.#look('inet', [...questions.inet, ...(forwarding ? [forwardingOf] : [])]),
      this.#look('inet6', questions.inet6),
    ]);
    const interfaces = inet('link show').flatMap(line => parseInterface(line) ?? []);
    if (this.#forgetsNames(interfaces)) return this.observe({ forwarding });
    const both = <T>(read: (look: Look, family: Family) => T[]) => [
      ...read(inet, 'inet'),
      ...read(inet6, 'inet6'),
    ];
    return {
      interfaces,
      addresses: both(look => look('address show').flatMap(line => parseAddress(line) ?? [])),
      routes: both((look, family) =>
        distinct([
          ...look(routesOf).flatMap(line => parseRoute(line, family) ?? []),
          // ip leaves out what it was asked to filter by.
          ...look(ownRoutesOf).flatMap(
            line => parseRoute(`${line} proto ${ownProtocol.number}`, family) ?? [],
          ),
        ]),
      ),
      rules: both((look, family) => look('rule show').flatMap(line => parseRule(line, family) ?? [])),
      proxyNeighbours: both((look, family) =>
        look('neigh show proxy').flatMap(line => parseProxyNeighbour(line, family) ?? []),
      ),
      ...(forwarding
        ? { forwarding: new Set(inet(forwardingOf).flatMap(line => parseForwarding(line) ?? [])) }
        : {}),
    };
  }

  /**
   * Carries out steps, a stage at a time. What fails does not stop what does not need it. The results come in the order
   * in which the kernel was asked.
   * @throws IpError where ip cannot be asked.
   */
  async apply(steps: readonly Step[]): Promise<StepResult[]> {
    const results = new Map<Step, StepResult>();
    const stages = [...new Set(steps.map(step => step.stage))].sort((a, b) => a - b);
    for (const stage of stages) {
      const due = steps.filter(step => {
        if (step.stage !== stage) return false;
        const blocked = step.needs.some(
          needed => results.get(needed)?.error !== undefined || results.get(needed)?.skipped,
        );
        if (blocked) results.set(step, { step, skipped: true });
        return !blocked;
      });
      for (const family of ['inet', 'inet6'] as const) {
        const ofFamily = due.filter(step => familyOfStep(step) === family);
        if (ofFamily.length === 0) continue;
        const answers = await this.#batches[family].ask(ofFamily.map(commandOf));
        ofFamily.forEach((step, i) => {
          const error = failureOf(step, answers[i]);
          results.set(step, error === undefined ? { step } : { step, error });
        });
      }
    }
    return [...results.values()];
  }

  close(): void {
    this.#batches.inet.close();
    this.#batches.inet6.close();
  }

  /**
   * An `ip` calls an interface by its first name for as long as it runs, so where one was renamed others are started.
   * @returns whether that was so: then what they said names the interface wrongly.
   */
  #forgetsNames(interfaces: readonly Interface[]): boolean {
    const renamed = interfaces.some(({ ifindex, name }) => (this.#names.get(ifindex) ?? name) !== name);
    this.#names = new Map(interfaces.map(({ ifindex, name }) => [ifindex, name]));
    if (renamed) this.close();
    return renamed;
  }

  /** Asks anew where the table changed under the dump: half a table must not be taken for the whole. */
  async #look(family: Family, commands: readonly string[]): Promise<Look> {
    for (let attempt = 1; ; attempt++) {
      const answers = await this.#batches[family].ask(commands);
      const failed = answers.find(({ error }) => error !== undefined && !isNoSuchFamily(error));
      if (failed === undefined) return command => answers[commands.indexOf(command)]?.lines ?? [];
      if (attempt === lookAttempts) throw new IpError(`the kernel's routes cannot be read: ${failed.error}`);
    }
  }
}

const lookAttempts = 4;

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
