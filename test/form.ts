// How much a test does, and where its choices at random begin. scripts/tiers.mjs says which form runs when.

/** `short`: `npm test`. `whole`: `npm test -- all` and CI. `long`: `npm run reliability`. A file by itself: `short`. */
export type Form = 'short' | 'whole' | 'long';

export const form = readForm();
export const isLong = form === 'long';

/** The same seed makes the same choices: `npm test -- --seed N`, or TEST_SEED=N. */
export const seed = numberOf('TEST_SEED') ?? 1;

/** How many of what a test counts in: what TEST_COUNT asks for, or the form's own number. */
export function countOf({
  short,
  whole,
  long = whole,
}: {
  short: number;
  whole: number;
  long?: number;
}): number {
  return numberOf('TEST_COUNT') ?? { short, whole, long }[form];
}

function readForm(): Form {
  const { TEST_FORM: text = 'short' } = process.env;
  if (text === 'short' || text === 'whole' || text === 'long') return text;
  throw new Error(`TEST_FORM=${text}; there are short, whole, long`);
}

function numberOf(variable: string): number | undefined {
  const text = process.env[variable];
  if (text === undefined || text === '') return undefined;
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 0) throw new Error(`${variable}=${text} is no number`);
  return number;
}
