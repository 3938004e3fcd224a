// What must not get worse, in ratios with room for noise: never milliseconds, which are the machine's. Another program
// that is busy at the same time can spoil one try; a fault of ours spoils them all.
import t, { type Test } from 'tap';
import { form } from '../form.ts';
import { findObstacle } from '../netns/namespace.ts';
import { median } from './figures.ts';
import { measurePair } from './rows/pair.ts';
import { manyLinks, manyRoutes, measureSeries, ratioOf } from './rows/scale.ts';

const obstacle = findObstacle();
const skip = !process.env.CI && obstacle;
/** They take a minute. */
const skipSeries = skip || (form === 'short' && 'only in the whole form');
const tries = 3;

// Above the target, which docs/performance.md has, and says why it is not reached.
t.test('up and down, against the script of the wikis', { skip }, t =>
  isAtMost(t, 1.25, async () => {
    const turns = await measurePair({ rounds: 40, short: true });
    return median(turns.get('ppp-routed')?.pairs ?? []) / median(turns.get("the wiki's script")?.pairs ?? []);
  }),
);

t.test('an event where there are many links that no profile matches', { skip: skipSeries }, t =>
  isAtMost(t, 2, async () => {
    const open = (count: number) => manyLinks(count, 'nobody');
    return ratioOf(await measureSeries([10, 5000], { rounds: 40, seconds: 20 }, open));
  }),
);

t.test('an event where there are many links that a profile matches', { skip: skipSeries }, t =>
  isAtMost(t, 1.5, async () => {
    const open = (count: number) => manyLinks(count, 'client');
    return ratioOf(await measureSeries([10, 500], { rounds: 40, seconds: 20 }, open));
  }),
);

t.test('an event where there are many routes', { skip: skipSeries }, t =>
  isAtMost(t, 2, async () =>
    ratioOf(await measureSeries([0, 100_000], { rounds: 40, seconds: 20 }, manyRoutes)),
  ),
);

async function isAtMost(t: Test, limit: number, measure: () => Promise<number>): Promise<void> {
  const ratios: number[] = [];
  while (ratios.length < tries && !ratios.some(ratio => ratio <= limit)) ratios.push(await measure());
  t.ok(Math.min(...ratios) <= limit, `${ratios.map(ratio => ratio.toFixed(2)).join(', ')}; at most ${limit}`);
}
