// Tier c: what stands in the journal of a real systemd, also when the journal is not well.
import t from 'tap';
import { messageIds } from '../../src/core/tell/message.ts';
import { readGuest } from './tier.ts';

// The first run builds the guest's system.
t.setTimeout(240_000);

const uplink = 'default via 192.0.2.1 dev up0 proto dhcp src 192.0.2.2 metric 100';
const pin = '203.0.113.5 via 192.0.2.1 dev up0 proto 173 src 192.0.2.2';
const PPP_LINK = 'ppp0';
const PPP_PROFILE = 'work';
/** What a link's way up leaves in the journal. */
const ofAnUp = [
  {
    MESSAGE: 'ip-up of ppp0: 10.99.0.2 to 10.99.0.1, profile work',
    MESSAGE_ID: messageIds.linkUp,
    ...{ PPP_LINK, PPP_EVENT: 'ip-up', PPP_PROFILE },
  },
  {
    MESSAGE: `adding a pin that stays on the uplink: ip route prepend ${pin}`,
    MESSAGE_ID: messageIds.routeChanged,
    ROUTE: pin,
  },
  {
    MESSAGE: 'adding the default over the link: ip route prepend default dev ppp0 proto 173',
    MESSAGE_ID: messageIds.routeChanged,
    ...{ PPP_LINK, ROUTE: 'default dev ppp0 proto 173' },
  },
  {
    MESSAGE: `deleting the uplink's default, which is saved: ip route del ${uplink}`,
    MESSAGE_ID: messageIds.routeChanged,
    ROUTE: uplink,
  },
];

await t.test('the journal', async t => {
  const guest = await readGuest(t, { place: 'nspawn', script: 'journal.sh' });
  if (!guest) return;
  const { section, lines } = guest;
  /** Without what the journal adds by itself. */
  const entries = (name: string): Record<string, string>[] =>
    lines(name).map(line =>
      Object.fromEntries(
        Object.entries<string>(JSON.parse(line)).filter(
          ([key]) => !key.startsWith('__') && key !== '_BOOT_ID',
        ),
      ),
    );
  const native = { _TRANSPORT: 'journal', SYSLOG_IDENTIFIER: 'ppp-routed', PRIORITY: '6' };

  await t.test('entries with fields', async t => {
    const [ready, ...rest] = entries('entries');
    t.same(ready, {
      ...native,
      PRIORITY: '5',
      MESSAGE: 'ready: no link is up',
      MESSAGE_ID: messageIds.ready,
    });
    t.same(
      rest.slice(0, 4),
      ofAnUp.map(entry => ({ ...native, ...entry })),
    );
    t.match(rest[4], { MESSAGE_ID: messageIds.eventWithoutEffect, MESSAGE: 'ip-up of ppp0: known already' });
    t.match(rest[5], { MESSAGE_ID: messageIds.linkLeftAlone, PPP_LINK: 'ppp1', PPP_EVENT: 'ip-up' });
    t.notOk('PPP_PROFILE' in (rest[5] ?? {}));
    t.match(rest[6], { MESSAGE_ID: messageIds.linkDown, PPP_LINK, PPP_EVENT: 'ip-down', PPP_PROFILE });
  });

  await t.test('journalctl PPP_LINK=ppp0', async t => {
    const ofLink = entries('entries of ppp0');
    t.ok(ofLink.length >= 4);
    t.same(
      ofLink,
      entries('entries').filter(entry => entry.PPP_LINK === 'ppp0'),
    );
  });

  await t.test('journalctl -x', async t => {
    t.match(section('explained'), 'Subject: ppp0 came up, and is routed as its profile says');
    t.match(section('explained'), 'and the profile work of /etc/ppp-routed matches it');
    t.equal(lines('catalog').length, Object.keys(messageIds).length, 'setup made the catalogue known');
  });

  await t.test('journalctl -p warning', async t => {
    t.equal(section('no trouble'), '', 'nothing where nothing is wrong');
    const name = '/etc/ppp-routed/links.d/two\nlines.toml:2: link.x.mode';
    t.equal(entries('trouble').length, 1, 'the trouble, once');
    t.match(entries('trouble')[0], {
      MESSAGE: `the configuration is not used, the last good one stays in force: ${name}`,
      ...{ PRIORITY: '4', MESSAGE_ID: messageIds.troubleBegan, _TRANSPORT: 'journal' },
    });
    t.same(
      entries('trouble and its end').map(entry => entry.MESSAGE_ID),
      [messageIds.troubleBegan, messageIds.troubleOver, messageIds.configurationRead],
    );
  });

  await t.test('more than fits', async t => {
    const status = section('status that is too long');
    t.match(status, /^degraded: .*k… \(ppp-routectl status has the rest\)$/);
    t.ok(status.length > 3900 && status.length < 4096, `${status.length} bytes of status`);
    const told = entries('long trouble');
    t.match(told[0], { _TRANSPORT: 'stdout', PRIORITY: '4', SYSLOG_IDENTIFIER: 'ppp-routed' });
    t.match(told[0]?.MESSAGE, /^the configuration is not used, .*kkkk/);
    t.ok(
      told.some(entry => entry._TRANSPORT === 'journal' && entry.MESSAGE_ID === messageIds.configurationRead),
      'what is shorter goes as ever',
    );
  });

  await t.test('a journal that is restarted, hangs or is away', async t => {
    t.same(
      entries('after a restart of the journal'),
      ofAnUp.map(entry => ({ ...native, ...entry })),
      'a restart is not noticed',
    );
    const taken = Number(section('milliseconds of 20 events while the journal hangs'));
    t.ok(taken < 4000, `20 events in ${taken} ms while it hangs`);
    const told = entries('after the journal hung');
    const count = (start: string) => told.filter(({ MESSAGE }) => MESSAGE?.startsWith(start)).length;
    t.same([count('ip-up of ppp0:'), count('ip-down of ppp0:')], [10, 10], 'and nothing was lost');
    t.ok(
      told.some(({ _TRANSPORT }) => _TRANSPORT === 'stdout'),
      'what did not go in took the other way',
    );
    t.match(section('routes without a journal'), /^default dev ppp0/, 'events are applied without one');
    t.same(lines('the daemon lived on').sort(), ['ActiveState=active', 'NRestarts=0']);
    t.same(
      entries('with a new journal'),
      ofAnUp.map(entry => ({ ...native, ...entry })),
    );
  });
});
