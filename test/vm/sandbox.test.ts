// Tier c: the least privilege of the very unit that setup installs, and that everything works under it.
import t from 'tap';
import { readGuest } from './tier.ts';

// The first run builds the guest's system.
t.setTimeout(240_000);

/** What the same attempt gets as root outside of the unit, which shows that it can succeed, and what inside. */
const attempts: Record<string, string> = {
  '/bin/sh': 'Permission denied',
  '/bin/bash': 'Permission denied',
  '/usr/bin/env': 'Permission denied',
  '/bin/true through the loader': 'it failed',
  'TCP connection': 'Address family not supported by protocol',
  'TCP socket of IPv6': 'Address family not supported by protocol',
  'UDP socket': 'Address family not supported by protocol',
  'packet socket': 'Address family not supported by protocol',
  'write /etc/probe': 'Read-only file system',
  'write /usr/probe': 'Read-only file system',
  'write /var/lib/probe': 'Read-only file system',
  'write /run/ppp-routed/probe': 'Permission denied',
  'read /etc/shadow': 'Permission denied',
  'read /proc/1/cmdline': 'No such file or directory',
  'read /proc/sys/kernel/random/boot_id': 'No such file or directory',
  'user namespace': 'Operation not permitted',
  'mount namespace': 'Operation not permitted',
  'network namespace': 'Operation not permitted',
  mount: 'Operation not permitted',
  'become root': 'Operation not permitted',
};
/** What it is there for. */
const allowed = ['write /run/ppp-routed/state/probe', 'add a route', 'take it away'];

const kernels = [
  '192.0.2.0/24 dev up0 proto kernel scope link src 192.0.2.2',
  '192.0.2.77 dev ppp0 proto kernel scope link src 192.0.2.200',
  '2001:db8::/64 dev up0 proto kernel metric 256 pref medium',
];
const uplink = 'default via 192.0.2.1 dev up0 proto dhcp src 192.0.2.2 metric 100';
const uplink6 = 'default via 2001:db8::1 dev up0 metric 100 pref medium';
const pin = '203.0.113.5 via 192.0.2.1 dev up0 proto ppp-routed src 192.0.2.2';
const network = '198.51.100.0/24 dev ppp0 proto ppp-routed scope link';
const proxy = '192.0.2.77 dev up0 proxy proto ppp-routed';

const modes: Record<string, string[]> = {
  replace: [
    'default dev ppp0 proto ppp-routed scope link',
    'default dev ppp0 proto ppp-routed metric 1 pref medium',
    ...[pin, network, proxy],
  ],
  metric: [
    'default dev ppp0 proto ppp-routed scope link',
    'default dev ppp0 proto ppp-routed metric 1 pref medium',
    ...[uplink, uplink6, pin, network, proxy],
  ],
  half: [
    '0.0.0.0/1 dev ppp0 proto ppp-routed scope link',
    '128.0.0.0/1 dev ppp0 proto ppp-routed scope link',
    '2000::/3 dev ppp0 proto ppp-routed metric 1 pref medium',
    ...[uplink, uplink6, pin, network, proxy],
  ],
  table: [
    'default dev ppp0 table 17300 proto ppp-routed scope link',
    'default dev ppp0 table 17300 proto ppp-routed metric 1 pref medium',
    '198.51.100.0/24 dev ppp0 table 17300 proto ppp-routed scope link',
    '17300:\tfrom all to 203.0.113.5 lookup main proto ppp-routed',
    '17310:\tfrom all lookup main suppress_prefixlength 0 proto ppp-routed',
    '17310:\tfrom all lookup main suppress_prefixlength 0 proto ppp-routed',
    '17320:\tfrom all lookup 17300 proto ppp-routed',
    '17320:\tfrom all lookup 17300 proto ppp-routed',
    ...[uplink, uplink6, proxy],
  ],
  none: [uplink, uplink6, network, proxy],
};

await t.test('least privilege', async t => {
  const guest = await readGuest(t, { place: 'nspawn', script: 'sandbox.sh' });
  if (!guest) return;
  const { section, lines } = guest;

  await t.test('systemd-analyze security --threshold=11', async t => {
    for (const name of ['exposure', 'exposure of the resolver']) {
      t.equal(lines(name)[0], 'passed', name);
      t.comment(lines(name).at(-1) ?? '');
    }
  });

  await t.test('whose the processes are', async t => {
    t.not(section('user'), '0');
    const field = new Map(
      lines('identity')
        .map(line => line.split(/:\s+/))
        .map(([key, value]) => [key, value]),
    );
    t.equal(field.get('Uid'), Array(4).fill(section('user')).join('\t'), 'its own user, not root');
    // 1 << 12 is CAP_NET_ADMIN.
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      t.equal(field.get(set), '0000000000001000', `${set}: CAP_NET_ADMIN alone`);
    t.equal(field.get('NoNewPrivs'), '1');
    t.equal(field.get('Seccomp'), '2', 'system calls are filtered');
    const children = lines('children');
    t.ok(children.length >= 3, `${children.length} processes`);
    for (const child of children)
      t.match(
        child,
        new RegExp(`^Uid: ${section('user')} .* CapEff: 0000000000001000 NoNewPrivs: 1 Seccomp: 2`),
      );
  });

  await t.test('what it gets when it tries', async t => {
    t.match(lines('probe outside')[0], /uid: 0$/);
    t.match(lines('probe inside')[0], new RegExp(`uid: ${section('user')}$`));
    for (const [what, got] of Object.entries(attempts)) {
      t.ok(lines('probe outside').includes(`probe ${what}: done`), `${what}: root can, outside`);
      t.ok(lines('probe inside').includes(`probe ${what}: ${got}`), `${what}: ${got}`);
    }
    for (const what of allowed) t.ok(lines('probe inside').includes(`probe ${what}: done`), `${what}: done`);
    t.equal(lines('probe inside').length, 1 + Object.keys(attempts).length + allowed.length, 'nothing else');
  });

  await t.test('every mode works under it', async t => {
    t.same(lines('before').sort(), [...kernels, uplink, uplink6].sort());
    for (const [mode, routes] of Object.entries(modes)) {
      t.same(lines(mode).sort(), [...kernels, ...routes].sort(), mode);
      t.match(section(`${mode}, status`), new RegExp(`^${mode}: ppp0 up`));
      t.equal(section(`after ${mode}`), section('before'), `${mode}: as before, byte for byte`);
    }
    t.equal(section('resolver'), 'active', "the server's name was looked up next door");
    t.equal(section('warnings'), '', 'nothing to warn of');
  });
});
