// What a reliability test is asked to do, and how it says what it found.
import type { Test } from 'tap';

/** The whole form, or the short one that CI runs. `npm run reliability` asks for the whole one. */
export const isWhole = process.env.RELIABILITY === 'full';

/** Where choices at random begin: the same seed makes the same choices. */
export const seed = numberOf('RELIABILITY_SEED') ?? 1;

/** How many of what a test counts in: what `--count` asks for, or the form's own number. */
export function countOf(form: { short: number; whole: number }): number {
  return numberOf('RELIABILITY_COUNT') ?? (isWhole ? form.whole : form.short);
}

/**
 * Says figures in the one shape that `npm run reliability` collects: `# figure: kill injections=1204 lost=0`. Each is
 * measured by the test that says it.
 */
export function sayFigures(t: Test, name: string, figures: Record<string, number | string>): void {
  const pairs = Object.entries(figures).map(([key, value]) => `${key}=${value}`);
  t.comment(`figure: ${[name, ...pairs].join(' ')}`);
}

function numberOf(variable: string): number | undefined {
  const text = process.env[variable];
  if (text === undefined || text === '') return undefined;
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 0) throw new Error(`${variable}=${text} is no number`);
  return number;
}
