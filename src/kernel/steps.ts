import type { Step } from '../core/decide/plan.ts';
import type { Answer } from './exchange.ts';

/** Steps that may go to the kernel together: each in a later wave than what it needs, the stages in order. */
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

/** Is it open whether it is done? "File exists" is said of this very route, or of another of its key. A look tells. */
export function isUnsure(step: Step, error: string): boolean {
  return step.kind.startsWith('add-') && error.includes('File exists');
}

/** What is gone need not be deleted. */
export function failureOf(step: Step, answer: Answer | undefined): string | undefined {
  if (answer === undefined) return 'ip gave no answer';
  const { error } = answer;
  if (error === undefined) return undefined;
  if (step.kind.startsWith('delete-') && /No such (process|file or directory)|Cannot find device/.test(error))
    return undefined;
  return error.replace(/^(RTNETLINK answers|Error): /, '');
}
