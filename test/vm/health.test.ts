// Tier c: the service says the truth about itself to a real systemd, and is restarted when it hangs.
import t from 'tap';
import { readGuest } from './tier.ts';

// The first run builds the guest's system.
t.setTimeout(240_000);

const saved = 'saved: default via 192.0.2.1 dev up0 proto dhcp src 192.0.2.2 metric 100';
const work = `work: ppp0 up, default via ppp0; ${saved}`;
const office = `office: ppp0 up, default via ppp0; ${saved}`;
/** WatchdogSec= of the guest's drop-in, in milliseconds. */
const watchdog = 2000;

await t.test('health', async t => {
  const guest = await readGuest(t, { place: 'nspawn', script: 'health.sh' });
  if (!guest) return;
  const { section, lines } = guest;

  await t.test('the unit', async t => {
    t.same(lines('unit').sort(), [
      'NotifyAccess=main',
      'TimeoutStartUSec=10s',
      'Type=notify',
      'WatchdogUSec=30s',
    ]);
  });

  await t.test('the status line follows what happens', async t => {
    t.equal(section('status without a link'), 'no link is up');
    t.equal(section('status while up'), work);
    t.equal(
      section('status with a bad edit'),
      `degraded: the configuration is not used, the last good one stays in force: /etc/ppp-routed/ppp-routed.toml:4: not TOML: Defining a key multiple times is invalid; ${work}`,
    );
    t.match(
      section('status without a monitor'),
      new RegExp(`^degraded: ip monitor ended .*changes made by others are seen late; ${office}$`),
    );
    t.equal(section('status with another'), office);
    t.equal(section('status when stopped'), 'stopping: routes stay as they are');
  });

  await t.test('systemctl reload', async t => {
    t.equal(section('reload of a bad edit, status'), '1', 'fails where the configuration cannot be used');
    t.equal(section('state after it'), 'active', 'which ends nothing');
    t.equal(section('reload, status'), '0');
    t.equal(section('status after the reload'), office, 'returns when it is in force');
    t.match(lines('what a reload tells'), ['RELOADING=1', /^MONOTONIC_USEC=[1-9]\d+$/, 'READY=1']);
    const told = Number(/MONOTONIC_USEC=(\d+)/.exec(section('what a reload tells'))?.[1]);
    const [begun = Infinity, ended = 0] = section('around the reload').split(' ').map(Number);
    t.ok(begun <= told && told <= ended, 'the clock is the one that systemd goes by');
  });

  await t.test('a hang', async t => {
    t.equal(section('restarts of one that is well'), '0', 'the watchdog is fed');
    for (const [what, how] of [
      ['STOP', 'stopped'],
      ['USR2', 'in a loop without an end'],
    ]) {
      const taken = Number(section(`recovered from ${what}`));
      t.ok(taken > 0 && taken <= watchdog + 2000, `${how}: ready again after ${taken} ms`);
      t.match(section(`result of ${what}`), /Watchdog timeout/, 'the watchdog it was');
      t.equal(section(`status after ${what}`), office);
      t.equal(section(`table after ${what}`), section('table while up'), 'routes stayed');
    }
  });

  await t.test('a start that takes longer than TimeoutStartSec=', async t => {
    t.match(section('slow start, at first'), /^ActiveState=activating$/m, 'it is not ready before it is');
    t.match(section('slow start, at first'), /^SubState=start$/m);
    // The addresses that were saved serve until the name has been looked up.
    t.match(section('slow start, at first'), /^StatusText=office: ppp0 up, default via ppp0; /m);
    t.match(section('slow start, routes at first'), /^unicast default dev ppp0 /m, 'as the status says');
    t.ok(Number(section('slow start, milliseconds')) > 700, `${section('slow start, milliseconds')} ms`);
    t.equal(section('slow start, result'), 'success', 'it asked for more time');
    t.equal(
      section('slow start, routes at once').trimEnd(),
      'default via 192.0.2.1 dev up0 proto dhcp src 192.0.2.2 metric 100',
      'ready: the first look has been acted upon',
    );
    t.match(section('slow start, then'), /StatusText=degraded: ppp0: no address for the server vpn\.example/);
  });

  t.equal(section('table at last'), section('table before'), 'everything is as before, byte for byte');
});
