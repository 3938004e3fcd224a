// What a reliability test is asked to do, and how it says what it found.
import type { Test } from 'tap';

/**
 * Says figures in the one shape that `npm run reliability` collects: `# figure: kill injections=1204 lost=0`. Each is
 * measured by the test that says it.
 */
export function sayFigures(t: Test, name: string, figures: Record<string, number | string>): void {
  const pairs = Object.entries(figures).map(([key, value]) => `${key}=${value}`);
  t.comment(`figure: ${[name, ...pairs].join(' ')}`);
}
