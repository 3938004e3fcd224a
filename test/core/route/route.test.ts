import fc from 'fast-check';
import t from 'tap';
import { alongside, identityOf } from '../../../src/core/route/route.ts';
import { parseRoute } from '../../../src/core/route/route-line.ts';
import { seed } from '../../form.ts';

/** What `ip -o route show` prints, and what `ip route add` is to be given. */
const lines = [
  ['default via 192.168.1.1 dev wlp2s0  metric 302 ', 'default via 192.168.1.1 dev wlp2s0 metric 302'],
  ['default dev ppp0 proto 173 scope link linkdown ', 'default dev ppp0 proto 173 scope link'],
  [
    'default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100 ',
    'default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100',
  ],
  [
    'default tos 0x10 via 192.0.2.1 dev e0 proto static src 192.0.2.2 metric 5 realm 3 mtu lock 1400 window 1000 advmss 1360 hoplimit 10 initcwnd 10 features ecn initrwnd 20 quickack 1 congctl reno',
    'default tos 0x10 via 192.0.2.1 dev e0 proto static src 192.0.2.2 metric 5 realm 3 mtu lock 1400 window 1000 advmss 1360 hoplimit 10 initcwnd 10 features ecn initrwnd 20 quickack 1 congctl reno',
  ],
  ['default via 203.0.113.1 dev e0 onlink', 'default via 203.0.113.1 dev e0 onlink'],
  [
    'default metric 50 \\\tnexthop via 192.168.1.1 dev w0 weight 2 \\\tnexthop via 10.5.0.1 dev e1 weight 1 ',
    'default metric 50 nexthop via 192.168.1.1 dev w0 weight 2 nexthop via 10.5.0.1 dev e1 weight 1',
  ],
  ['default nhid 7 via 192.0.2.1 dev e0 proto static ', 'default nhid 7 proto static'],
  ['default via inet6 2001:db8::1 dev e0', 'default via inet6 2001:db8::1 dev e0'],
  ['unreachable default proto 173 metric 5 ', 'unreachable default proto 173 metric 5'],
] as const;

t.test('a route that was read is the line that ip takes', async t => {
  for (const [shown, taken] of lines) {
    const route = parseRoute(shown, 'inet');
    t.equal(route?.line, taken);
    t.equal(route?.unrestorable, undefined, taken);
    t.equal(parseRoute(taken, 'inet')?.line, taken, 'and reads as itself');
  }
  t.equal(
    parseRoute('default via fe80::1 dev e0 metric 1024 pref medium', 'inet6')?.line,
    'default via fe80::1 dev e0 metric 1024 pref medium',
  );
  t.equal(
    parseRoute('default dev e1 metric 2000 pref medium', 'inet6')?.line,
    '::/0 dev e1 metric 2000 pref medium',
    'an IPv6 default that ip would take for IPv4',
  );
});

t.test('what would not come back is said', async t => {
  t.match(
    parseRoute('default via fe80::1 dev e0 proto ra metric 1024 expires 299sec pref high', 'inet6')
      ?.unrestorable,
    /expires/,
  );
  t.match(
    parseRoute('default  encap ip id 100 src 0.0.0.0 dst 10.0.0.9 ttl 0 tos 0 dev e0 scope link', 'inet')
      ?.unrestorable,
    /encap/,
  );
  t.match(parseRoute('default via 192.0.2.1 dev e0 something new', 'inet')?.unrestorable, /something/);
  t.match(parseRoute('default via 192.0.2.1 dev e0 metric 5 rto_min lock 200ms', 'inet'), {
    unrestorable: /rto_min/,
    metric: 5,
  });
});

t.test('what is no route is none', async t => {
  for (const text of [
    '',
    'RTNETLINK answers: File exists',
    'default via',
    'nonsense via 1.2.3.4 dev e0',
    'unreachable',
  ]) {
    t.equal(parseRoute(text, 'inet'), undefined, text);
  }
  for (const metric of ['4294967296', '9999999999', '4272727272727272727272727278198272', '-1', '1e3', '']) {
    t.equal(parseRoute(`default dev e0 metric ${metric}`, 'inet'), undefined, `metric ${metric}`);
    const odd = `default dev e0 unknown 1 metric ${metric}`;
    if (metric !== '') t.equal(parseRoute(odd, 'inet'), undefined, odd);
  }
  t.equal(parseRoute('default dev e0 metric 4294967295', 'inet')?.metric, 4294967295);
});

t.test('the same route in another spelling is the same route', async t => {
  const same = (a: string, b: string) => {
    const [first, second] = [parseRoute(a, 'inet'), parseRoute(b, 'inet')];
    return first !== undefined && second !== undefined && identityOf(first) === identityOf(second);
  };
  t.ok(same('default dev ppp0 proto 173', 'default dev ppp0 proto ppp-routed scope link linkdown'));
  t.notOk(same('default dev ppp0 proto 173', 'default dev ppp0'), 'but one of pppd is not ours');
  t.notOk(same('default via 10.0.0.1 dev e0', 'default via 10.0.0.1 dev e0 metric 5'));
  t.notOk(same('default via 10.0.0.1 dev e0', 'default via 10.0.0.2 dev e0'));
  t.notOk(same('default via 10.0.0.1 dev e0 mtu 1400', 'default via 10.0.0.1 dev e0 mtu lock 1400'));
  const blocked = parseRoute('unreachable 2000::/3 dev lo proto 173 metric 1 pref medium', 'inet6');
  const asked = parseRoute('unreachable 2000::/3 proto 173 metric 1', 'inet6');
  t.equal(
    blocked && identityOf(blocked),
    asked && identityOf(asked),
    'IPv6 adds a device to a route that leads nowhere',
  );
});

t.test('a pin goes the way of the uplink: nexthops, source, path attributes', async t => {
  const pinOver = (uplink: string) => {
    const route = parseRoute(uplink, 'inet');
    return route === undefined ? '' : alongside(route, '203.0.113.5');
  };
  t.equal(
    pinOver('default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100 mtu 1400'),
    '203.0.113.5 via 192.168.1.1 dev eth0 src 192.168.1.10 mtu 1400',
  );
  t.equal(
    pinOver('default metric 5 nexthop via 10.0.0.1 dev e0 weight 2 nexthop via 10.1.0.1 dev e1 weight 1'),
    '203.0.113.5 nexthop via 10.0.0.1 dev e0 weight 2 nexthop via 10.1.0.1 dev e1 weight 1',
  );
  t.equal(pinOver('default nhid 7 via 192.0.2.1 dev e0'), '203.0.113.5 nhid 7');
  for (const [uplink, pin] of [
    [
      'default encap ip id 100 src 0.0.0.0 dst 10.1.1.1 ttl 0 tos 0 via 192.168.1.1 dev eth0',
      'via 192.168.1.1 dev eth0',
    ],
    ['default encap mpls 100 via inet6 fe80::1 dev eth0 onlink', 'via inet6 fe80::1 dev eth0 onlink'],
    [
      'default metric 5 nexthop encap mpls 100 dev e0 weight 1 nexthop via 10.1.0.1 dev e1 weight 1',
      'nexthop dev e0 weight 1 nexthop via 10.1.0.1 dev e1 weight 1',
    ],
    ['default via 192.168.1.1 dev eth0 something new', 'via 192.168.1.1 dev eth0'],
  ] as const)
    t.equal(pinOver(uplink), `203.0.113.5 ${pin}`, 'also after words that are not understood');
  const ofOneSource = parseRoute(
    'default from 2001:db8:1::/64 via fe80::1 dev eth0 proto static metric 512',
    'inet6',
  );
  t.match(ofOneSource, { unrestorable: /from/, metric: 512, protocol: 'static' });
  t.equal(ofOneSource && alongside(ofOneSource, '2001:db8:5::1'), '2001:db8:5::1 via fe80::1 dev eth0');
  t.equal(pinOver('default via 198.51.100.1 dev e0 onlink'), '203.0.113.5 via 198.51.100.1 dev e0 onlink');
});

t.test('no text at all makes it throw or loop', async () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.string(),
          fc.constantFrom('default', 'via', 'dev', 'metric', '10.0.0.1', 'nexthop', 'lock', 'mtu', 'encap'),
        ),
      ),
      words => {
        parseRoute(words.join(' '), 'inet');
        parseRoute(words.join(' '), 'inet6');
      },
    ),
    { numRuns: 5000, seed },
  );
});
