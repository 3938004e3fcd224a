// Tier c: setup, the service and unsetup under a real systemd, with Debian's own /etc/ppp scripts.
import t from 'tap';
import { readGuest } from './tier.ts';

const uplink = 'default via 192.0.2.1 dev up0 proto dhcp src 192.0.2.2 metric 100';

// The first run builds the guest's system.
t.setTimeout(240_000);

await t.test('under systemd', async t => {
  const guest = await readGuest(t, { place: 'nspawn', script: 'systemd.sh' });
  if (!guest) return;
  const { section, lines } = guest;

  await t.test('setup', async t => {
    t.equal(section('verify'), '', 'systemd finds nothing wrong with the units');
    t.equal(section('setup status'), '0', 'succeeds');
    t.equal(section('configuration kept'), '', 'leaves a configuration that is there alone');
    t.equal(section('changed by setup again'), '', 'run twice changes nothing');
    t.notMatch(section('setup again'), /adding|changing|deleting/, 'run twice says so');
    t.same(lines('enabled'), Array(4).fill('enabled'), 'enables the units');
    t.same(
      lines('service'),
      ['NRestarts=0', 'User=ppp-routed', 'ActiveState=active', 'SubState=running'],
      'starts the service as its own user, and it is ready at once',
    );
    t.same(
      lines('hooks'),
      [
        '/etc/ppp/ip-down.d:',
        '00-00-ppp-routed',
        '0000usepeerdns',
        '/etc/ppp/ip-up.d:',
        '00-00-ppp-routed',
        '0000usepeerdns',
        '/etc/ppp/ipv6-down.d:',
        '00-00-ppp-routed',
        '/etc/ppp/ipv6-up.d:',
        '00-00-ppp-routed',
      ],
      'hooks, under a name that run-parts takes, before the others',
    );
    t.same(
      lines('modes'),
      [
        'drwxr-xr-x root:root /run/ppp-routed',
        'srw------- root:root /run/ppp-routed/hook.sock',
        'srw-rw---- root:ppp-routed /run/ppp-routed/control.sock',
        'srw------- ppp-routed:ppp-routed /run/ppp-routed/resolve.sock',
        'drwx--S--- ppp-routed:ppp-routed /run/ppp-routed/spool',
        'drwx------ ppp-routed:ppp-routed /run/ppp-routed/state',
      ],
      'modes and owners',
    );
    // 1 << 12 is CAP_NET_ADMIN.
    t.same(
      lines('capabilities'),
      ['CapEff:\t0000000000001000', 'CapBnd:\t0000000000001000'],
      'CAP_NET_ADMIN alone',
    );
    t.comment(lines('exposure').at(-1) ?? '');
  });

  await t.test('who may talk to the daemon', async t => {
    t.equal(section('hook socket as nobody'), 'Permission denied');
    t.equal(section('control socket as nobody'), 'Permission denied');
    t.equal(
      section('hook socket as the service'),
      'Permission denied',
      'not even the service may report links',
    );
  });

  await t.test('a link comes and goes', async t => {
    t.equal(section('hook status'), '0', "pppd's script exits 0");
    t.same(
      lines('routes while up').filter(line => !/ dev q\d /.test(line)),
      [
        'default dev ppp0 proto ppp-routed scope link',
        '10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2',
        '192.0.2.0/24 dev up0 proto kernel scope link src 192.0.2.2',
        '203.0.113.5 via 192.0.2.1 dev up0 proto ppp-routed src 192.0.2.2',
      ],
      'the default route is moved, the server stays on the uplink',
    );
    t.match(
      section('status while up'),
      /Status: "work: ppp0 up, default via ppp0; saved: default via 192\.0\.2\.1 dev up0 proto dhcp src 192\.0\.2\.2 metric 100"/,
      'systemctl status tells',
    );
    t.equal(
      JSON.parse(section('state')).savedDefaults[0].route,
      uplink,
      'the state file holds the saved default',
    );
    t.equal(section('state mode'), '-rw------- ppp-routed:ppp-routed');
    t.equal(section('table after'), section('table before'), 'everything is as before, byte for byte');
    const journal = lines('journal').map(line => JSON.parse(line));
    const ours = journal.filter(entry => entry.SYSLOG_IDENTIFIER === 'ppp-routed');
    t.ok(
      ours.some(entry => /ppp0/.test(entry.MESSAGE) && /default/.test(entry.MESSAGE)),
      'the journal tells the story',
    );
    t.notOk(
      ours.some(entry => /^<\d>/.test(entry.MESSAGE)),
      'priorities are read, not printed',
    );
    t.same(
      ours.filter(entry => Number(entry.PRIORITY) < 5),
      [],
      'nothing to warn of',
    );
  });

  await t.test('events while the daemon is away', async t => {
    const all = [0, 1, 2, 3, 4].map(n => `198.51.100.${n} dev q${n} scope link`);
    t.equal(section('queued'), '5', 'five wait in the socket');
    t.equal(section('spooled while queued'), '', 'none in the spool');
    t.equal(section('socket after restart'), section('socket before restart'), 'they have somewhere to wait');
    t.same(lines('routes of queued events'), all, 'a restart loses none of them');
    t.equal(section('spooled after restart'), '');
    t.equal(section('routes of no link'), '');
    t.match(
      lines('spooled while stopped'),
      [/ -rw-r-----? |.*:ppp-routed/, /:ppp-routed/, /:ppp-routed/],
      'without sockets: spooled',
    );
    t.same(lines('routes of spooled events'), all.slice(0, 3), 'the next start applies them');
    t.equal(section('spooled after start'), '');
  });

  await t.test('the daemon stops and dies', async t => {
    t.equal(section('table while stopped'), section('table while up'), 'routes stay when it is stopped');
    t.same(lines('service after a kill'), ['NRestarts=1', 'SubState=running'], 'it comes back by itself');
    t.match(
      section('status after a kill'),
      /^work: ppp0 up, default via ppp0; saved: default via 192\.0\.2\.1/,
    );
    t.equal(section('table after a kill'), section('table while up'), 'and changes nothing');
  });

  await t.test('unsetup where the uplink cannot be put back', async t => {
    t.equal(section('unsetup without ip status'), '1', 'fails');
    t.match(
      section('unsetup without ip'),
      /^unsetup: the uplink is not put back, so nothing was taken away: [\s\S]*\n {2}Put that right .*--force/,
    );
    t.match(
      section('unsetup without ip'),
      /\n {2}It was: ip route add default via 192\.0\.2\.1 dev up0 .*metric 100$/,
      'says what is saved',
    );
    t.same(
      lines('kept without ip'),
      ['/etc/ppp-routed/ppp-routed.toml', '/run/ppp-routed/state/state.json', '/usr/bin/ppp-routectl'],
      'the state is there, and what puts it back',
    );
    t.same(lines('enabled without ip'), ['enabled']);
  });

  await t.test('unsetup', async t => {
    t.equal(section('unsetup status'), '0', 'succeeds');
    t.equal(
      section('table after unsetup'),
      section('table before'),
      'puts the uplink back while the link is up',
    );
    t.equal(section('table at last'), section('table at first'));
    t.equal(section('traces'), '', 'leaves no file behind and changes none');
    t.equal(section('users'), '', 'no user, no group');
    t.equal(section('units'), '', 'no unit');
  });
});
