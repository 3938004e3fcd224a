// Tier d: real pppd, in a kernel that has PPP, with hooks as setup installs them.
import t from 'tap';
import { readGuest } from './tier.ts';

const uplink = 'default via 192.0.2.1 dev up0 proto dhcp src 192.0.2.2 metric 100';
const whileUp = [
  'default dev ppp0 proto ppp-routed scope link',
  '10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2',
  '192.0.2.0/24 dev up0 proto kernel scope link src 192.0.2.2',
  '203.0.113.5 via 192.0.2.1 dev up0 proto ppp-routed src 192.0.2.2',
];

// The first run builds the guest's system.
t.setTimeout(240_000);

await t.test('with real pppd', async t => {
  const guest = await readGuest(t, { place: 'uml', script: 'pppd.sh' });
  if (!guest) return;
  const { section, lines } = guest;
  const milliseconds = (name: string) => {
    t.comment(`${name}: ${section(name)} ms`);
    return Number(section(name));
  };

  await t.test('up, SIGTERM', async t => {
    t.equal(section('service'), 'active');
    t.ok(milliseconds('up') < 10_000, 'the default route moves');
    t.same(lines('routes while up'), whileUp);
    t.equal(
      JSON.parse(section('state')).savedDefaults[0].route,
      uplink,
      'the state file holds the saved default',
    );
    t.match(
      section('status while up'),
      /^work: ppp0 up, default via ppp0; saved: default via 192\.0\.2\.1 dev up0 proto dhcp src 192\.0\.2\.2 metric 100$/,
    );
    t.match(section('ping through the link'), / 1 received/, 'traffic of the default route crosses the link');
    t.equal(section('table after SIGTERM'), section('table before'), 'byte for byte as before');
  });

  await t.test('pppd is killed, ip-down never runs', async t => {
    t.ok(milliseconds('SIGKILL') <= 1000, 'the old default route is back within 1 s');
    t.equal(section('table after SIGKILL'), section('table before'), 'byte for byte as before');
    t.notMatch(section('status after SIGKILL'), /ppp0 up/);
  });

  await t.test('the far end dies, pppd persists', async t => {
    t.ok(milliseconds('lost far end') < 5000, 'back to the uplink');
    t.ok(milliseconds('up by itself') < 10_000, 'and on the link again');
    const [before, after] = section('interface before and after').split(' ');
    t.not(after, before, 'which is another interface of the same name');
    t.same(lines('routes after the flap'), whileUp, 'the old ip-down takes nothing from the new link');
    t.match(section('ping after the flap'), / 1 received/);
    t.equal(section('table at last'), section('table before'), 'byte for byte as before');
  });
});
