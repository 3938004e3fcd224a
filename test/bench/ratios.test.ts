// What must not get worse, in ratios with room for noise: never milliseconds, which are the machine's.
import t from 'tap';
import { findObstacle } from '../netns/namespace.ts';
import { median } from './figures.ts';
import { measurePair } from './rows/pair.ts';
import { manyLinks, manyRoutes, measureSeries, ratioOf } from './rows/scale.ts';

const obstacle = findObstacle();
const skip = !process.env.CI && obstacle;

t.test('up and down, against the script of the wikis', { skip }, async t => {
  const turns = await measurePair({ rounds: 40, short: true });
  const ours = median(turns.get('ppp-routed')?.pairs ?? []);
  const theirs = median(turns.get("the wiki's script")?.pairs ?? []);
  t.ok(ours / theirs <= 0.7, `${ours.toFixed(1)} ms, ${(ours / theirs).toFixed(2)} of ${theirs.toFixed(1)} ms`);
});

t.test('an event where there are many links', { skip }, async t => {
  const series = await measureSeries([10, 2000], { rounds: 40, seconds: 20 }, count =>
    manyLinks(count, 'client'),
  );
  t.ok(ratioOf(series) <= 2, `${ratioOf(series).toFixed(2)} x`);
});

t.test('an event where there are many routes', { skip }, async t => {
  const series = await measureSeries([0, 100_000], { rounds: 40, seconds: 20 }, manyRoutes);
  t.ok(ratioOf(series) <= 2, `${ratioOf(series).toFixed(2)} x`);
});
