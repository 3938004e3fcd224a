// Saves and removes links until it is killed; tells its parent what has been done.
import { StateDirectory } from '../../src/state/state-directory.ts';
import { boot, linkOf, saved } from './links.ts';

const [directory = '', first = ''] = process.argv.slice(2);
const state = new StateDirectory(directory);
state.load(boot);
for (let round = 1; ; round++) {
  for (let ifindex = Number(first); ifindex < Number(first) + 3; ifindex++) {
    const link = linkOf(ifindex, { order: round });
    untilSaved(() => state.saveLink(link));
    untilSaved(() => state.saveDefaults(saved));
  }
  process.send?.(round);
  // What was sent is delivered between two turns of the loop.
  await new Promise(setImmediate);
}

/** As the daemon does. The other writer, when it starts, removes what it takes for left over by a killed one. */
function untilSaved(save: () => void, tries = 100): void {
  try {
    save();
  } catch (error) {
    if (tries === 1) throw error;
    untilSaved(save, tries - 1);
  }
}
