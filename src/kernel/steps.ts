import type { Step } from '../core/plan.ts';
import type { Answer } from './exchange.ts';

/**
 * Steps that may be handed to the kernel together, in their order. A step is in a later wave than those that it needs, and
 * never before a step of an earlier stage.
 */
export function wavesOf(steps: readonly Step[]): Step[][] {
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

/** What is there already need not be added, what is gone need not be deleted; the next look tells. */
export function failureOf(step: Step, answer: Answer | undefined): string | undefined {
  if (answer === undefined) return 'ip gave no answer';
  const { error } = answer;
  if (error === undefined) return undefined;
  if (step.kind.startsWith('add-') && error.includes('File exists')) return undefined;
  if (step.kind.startsWith('delete-') && /No such (process|file or directory)|Cannot find device/.test(error))
    return undefined;
  return error.replace(/^(RTNETLINK answers|Error): /, '');
}
