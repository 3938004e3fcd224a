import type { Test } from 'tap';
import { findObstacle, type Place, runGuest } from './guest.ts';

interface Reading {
  /** What the guest recorded under this name; a failed test where there is nothing. */
  section: (name: string) => string;
  lines: (name: string) => string[];
}

/**
 * Boots a guest and hands out what it recorded. A machine where it cannot boot says why: that is a skipped test, or in
 * CI, where every tier has to run, a failed one. When a test fails, the guest's logs are printed at the end.
 */
export async function readGuest(
  t: Test,
  guest: { place: Place; script: string },
): Promise<Reading | undefined> {
  const obstacle = await findObstacle(guest.place);
  if (obstacle) {
    const { CI } = process.env;
    if (CI) t.fail(`this tier has to run in CI: ${obstacle}`);
    else t.plan(0, obstacle);
    return undefined;
  }
  const { sections, log } = await runGuest(guest);
  t.teardown(() => {
    if (!t.passing()) process.stderr.write(`${log}\n`);
  });
  t.ok(sections.has('end'), "the guest's script ran to its end");
  const section = (name: string) => sections.get(name) ?? `(the guest recorded no "${name}")`;
  const lines = (name: string) =>
    section(name)
      .split('\n')
      .map(line => line.trimEnd())
      .filter(line => line !== '');
  return { section, lines };
}
