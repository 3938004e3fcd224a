import { seed } from '../form.ts';

/** So many of them, at even distances from a beginning that hangs on the seed; all if there are no more. */
export function choose<T>(all: readonly T[], count: number): T[] {
  if (count >= all.length) return [...all];
  const distance = all.length / count;
  return Array.from({ length: count }, (_, i) => all[Math.floor((i + (seed % 97) / 97) * distance)] as T);
}
