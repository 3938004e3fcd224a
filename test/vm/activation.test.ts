// Tier c: events while a real systemd restarts, kills and upgrades the daemon; how it is taken out of service, and its place
// among the other units.
import t from 'tap';
import { readGuest } from './tier.ts';

// The first run builds the guest's system.
t.setTimeout(300_000);

const uplink = 'default via 192.0.2.1 dev up0 proto dhcp src 192.0.2.2 metric 100';
const onLink = 'default dev ppp0 proto ppp-routed scope link';

await t.test('activation', async t => {
  const guest = await readGuest(t, { place: 'nspawn', script: 'activation.sh' });
  if (!guest) return;
  const { section, lines } = guest;

  await t.test('a thousand events over twenty restarts', async t => {
    t.equal(section('starts'), '21');
    const before = 2 * Number(section('events before the last restart'));
    t.ok(before > 100 && before < 1000, `${before} of the events came before the last restart`);
    t.equal(section('ups in the journal'), '500', 'each of 500 ups was applied: their addresses differ');
    const downs = lines('downs in the journal').map(line => line.trim().split(' ip-down of '));
    t.equal(downs.length, 50);
    for (const [count, link] of downs)
      t.ok(Number(count) >= 10, `each of 10 downs of ${link} was applied: ${count}`);
    t.same(
      lines('routes'),
      Array.from({ length: 25 }, (_, i) => `198.51.100.${25 + i} dev q${25 + i} scope link`),
      'and the table is right',
    );
    t.equal(section('spooled'), '', 'nothing is left in the spool');
    t.equal(section('complaints'), '', 'no hook had anything to complain of');
  });

  await t.test('systemctl disable --now, and ppp-routectl restore', async t => {
    t.equal(section('default before').trim(), uplink);
    t.equal(section('default while up').trim(), onLink);
    t.equal(section('default when disabled').trim(), onLink, 'routes stay');
    t.same(lines('enabled'), Array(4).fill('disabled'), 'nothing starts it again at the next boot');
    t.same(lines('running'), Array(3).fill('inactive'));
    t.equal(section('default after restore').trim(), uplink, 'the uplink is back, without a daemon');
  });

  await t.test('its place in the order', async t => {
    const units = new Map(
      section('order')
        .split('\n\n')
        .map(block => new Map(block.split('\n').map(line => line.split('=') as [string, string])))
        .map(unit => [unit.get('Id'), unit]),
    );
    const has = (unit: string, key: string, other: string) =>
      t.ok(units.get(unit)?.get(key)?.split(' ').includes(other), `${unit} ${key}=${other}`);
    // Network managers, and whatever dials, come after network-pre.target.
    has('ppp-routed.socket', 'Before', 'network-pre.target');
    has('ppp-routed.socket', 'After', 'systemd-tmpfiles-setup.service');
    has('ppp-routed.service', 'After', 'network-pre.target');
    has('ppp-routed.service', 'Before', 'network.target');
    has('ppp-routed.service', 'Wants', 'network.target');
    has('ppp-routed.service', 'Conflicts', 'shutdown.target');
    t.equal(section('before the shutdown').trim(), onLink);
    t.same(lines('at shutdown'), [uplink, 'active'], 'a dialer that is stopped finds the daemon still there');
  });
});
