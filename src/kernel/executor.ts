import { commandOf, familyOfStep, type Step } from '../core/decide/plan.ts';
import type { Family } from '../core/route/prefix.ts';
import type { StepResult } from '../daemon/rooms.ts';
import type { Barrier } from './barrier.ts';
import type { Answer } from './exchange.ts';
import type { IpBatch } from './ip-batch.ts';
import { failureOf, isUnsure, wavesOf } from './steps.ts';

/*
 * INVARIANTS
 * 1. A step is carried out only after every step that it needs has been.
 * 2. A barrier is behind the last step, whatever became of the steps.
 */

export interface ExecutorOptions {
  batches: Record<Family, IpBatch>;
  barrier: Barrier;
  /** The kernel or ip would not carry out a step. */
  onRefused(): void;
}

type Results = Map<Step, StepResult>;

/** Carries out the steps of a plan: in one exchange with ip for each family where none fails. */
export class Executor {
  readonly #options: ExecutorOptions;

  constructor(options: ExecutorOptions) {
    this.#options = options;
  }

  /**
   * Carries out steps, and a barrier behind them. What fails does not stop what does not need it. The results come in the order
   * in which the kernel was asked.
   * @throws IpError where ip cannot be asked.
   */
  async carryOut(steps: readonly Step[]): Promise<StepResult[]> {
    const results: Results = new Map();
    const inOrder = [...steps].sort((a, b) => a.stage - b.stage);
    const ofFamily = (family: Family) => inOrder.filter(step => familyOfStep(step) === family);
    const [inet, inet6] = [ofFamily('inet'), ofFamily('inet6')];
    const isIpv6Only = inet6.length > 0 && inet.length === 0;
    if (inet6.length > 0) await this.#ofFamily('inet6', { steps: inet6, isLast: isIpv6Only, results });
    if (!isIpv6Only) await this.#ofFamily('inet', { steps: inet, isLast: true, results });
    return [...results.values()];
  }

  async #ofFamily(
    family: Family,
    { steps, isLast, results }: { steps: readonly Step[]; isLast: boolean; results: Results },
  ): Promise<void> {
    const { barrier, batches } = this.#options;
    const commands = [...steps.map(commandOf), ...(isLast ? barrier.raise() : [])];
    const { done, error } = await batches[family].changeStrictly(commands);
    for (const step of steps.slice(0, done)) results.set(step, { step });
    if (done === commands.length) return isLast ? barrier.wait() : undefined;
    const [failed] = steps.slice(done);
    if (failed !== undefined && error !== undefined) this.#take([failed], [{ lines: [], error }], results);
    const rest = steps.filter(step => !results.has(step));
    await this.#oneByOne(family, { steps: rest, isLast, results });
  }

  /** Carries out each step for which the answers to those before it show that it may be carried out. */
  async #oneByOne(
    family: Family,
    { steps, isLast, results }: { steps: readonly Step[]; isLast: boolean; results: Results },
  ): Promise<void> {
    const { barrier, batches } = this.#options;
    for (const wave of wavesOf(steps)) {
      const due = wave.filter(step => !skip(step, results));
      if (due.length > 0) this.#take(due, await batches[family].change(due.map(commandOf)), results);
    }
    if (isLast) await barrier.pass();
  }

  #take(steps: readonly Step[], answers: readonly Answer[], results: Results): void {
    steps.forEach((step, i) => {
      const error = failureOf(step, answers[i]);
      results.set(step, error === undefined ? { step } : { step, error, unsure: isUnsure(step, error) });
      if (answers[i]?.error !== undefined) this.#options.onRefused();
    });
  }
}

/** Was a step that it needs not carried out? Then it is left out. */
function skip(step: Step, results: Results): boolean {
  const blocking = step.needs.flatMap(needed => {
    const result = results.get(needed);
    return result?.error !== undefined || result?.skipped ? result : [];
  });
  if (blocking.length === 0) return false;
  results.set(step, { step, skipped: true, unsure: blocking.every(({ unsure }) => unsure === true) });
  return true;
}
