// Tier c: what the service costs and says when nothing happens.
import t from 'tap';
import { readGuest } from './tier.ts';

// The first run builds the guest's system.
t.setTimeout(240_000);

await t.test('a link is up and nothing happens', async t => {
  const guest = await readGuest(t, { place: 'nspawn', script: 'idle.sh' });
  if (!guest) return;
  const { section } = guest;
  const share = Number(section('nanoseconds in 16 s')) / 16e9;
  t.ok(share > 0, 'the watchdog looks');
  t.ok(share < 0.001, `${(share * 100).toFixed(3)} % of a processor`);
  t.equal(section('lines in 16 s'), '0', 'it is silent');
  t.comment(section('memory'));
});
