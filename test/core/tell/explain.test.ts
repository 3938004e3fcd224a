import t from 'tap';
import { parsePrefix } from '../../../src/core/route/prefix.ts';
import { explain } from '../../../src/core/tell/explain.ts';
import { type Dump, howToTable, readDump } from '../../cli/machine.ts';

/** What carries an address, and every rule and route that was looked at with the reason why it does not. */
function answer(address: string, dump: Dump): string[] {
  const destination = parsePrefix(address);
  if (destination === undefined) throw new Error(`no address: ${address}`);
  const { verdict, route, steps, doubts } = explain(destination, readDump(dump));
  return [
    [verdict, route?.line].filter(Boolean).join(': '),
    ...steps.flatMap(({ rule, says, contenders }) => [
      `${rule.priority} ${says}`,
      ...contenders.map(({ route, because }) => `  ${route.line} | ${because ?? 'taken'}`),
    ]),
    ...doubts.map(doubt => `? ${doubt}`),
  ];
}

const gateway = 'default via 192.168.1.1 dev wlp2s0 metric 302';
const notLocal = '0 is not an address of this machine';

t.test('the table of the PPTP how-to, as its author reads it', async t => {
  const dump = { routes: howToTable };
  t.same(answer('8.8.8.8', dump), [
    `routed: ${gateway}`,
    notLocal,
    '32766 finds it in table main',
    `  ${gateway} | taken`,
  ]);
  t.same(answer('69.90.184.209', dump), [
    'routed: 69.90.184.209 via 192.168.1.1 dev wlp2s0 src 192.168.1.100',
    notLocal,
    '32766 finds it in table main',
    '  69.90.184.209 via 192.168.1.1 dev wlp2s0 src 192.168.1.100 | taken',
    `  ${gateway} | shorter prefix: /0 says less than /32`,
  ]);
  t.same(answer('192.168.1.7', dump).slice(3), [
    '  192.168.1.0/24 dev wlp2s0 proto kernel scope link src 192.168.1.100 | taken',
    '  192.168.1.0/24 dev wlp2s0 proto kernel scope link src 192.168.1.100 metric 302 | worse metric: 302, and 0 is lower',
    `  ${gateway} | shorter prefix: /0 says less than /24`,
  ]);
});

t.test('addresses that no route is asked for', async t => {
  const rows: [address: string, says: string][] = [
    ['192.168.1.100', '0 is an address of this machine, on wlp2s0'],
    ['10.99.0.2', '0 is an address of this machine, on ppp0'],
    ['127.1.2.3', '0 is an address of this machine, on lo'],
    ['::1', '0 is an address of this machine, on lo'],
    ['192.168.1.255', '0 is the broadcast address of the network on wlp2s0'],
    ['ff02::1', '0 is a multicast address'],
  ];
  for (const [address, says] of rows)
    t.same(answer(address, { routes: howToTable }).slice(0, 2), ['delivered', says], address);
  t.match(answer('192.168.1.254', { routes: howToTable })[0], /^routed/, 'not every address of the network');
  t.match(answer('10.99.0.1', { routes: howToTable })[0], /^routed/, 'the far end is another machine');
});

t.test('order decides last', async t => {
  const routes = `
    default dev ppp0 proto 173 scope link
    default via 192.168.1.1 dev wlp2s0
    default via 192.168.1.254 dev wlp2s0 tos 0x10
  `;
  t.same(answer('8.8.8.8', { routes }).slice(3), [
    '  default dev ppp0 proto 173 scope link | taken',
    '  default via 192.168.1.1 dev wlp2s0 | same prefix and metric, but it stands further down',
  ]);
  const routes6 = `
    default via fe80::1 dev wlp2s0 proto ra metric 1024 pref low
    default via fe80::2 dev eth0 proto ra metric 1024 pref medium
  `;
  t.same(answer('2001:db8::1', { routes6 }).slice(3), [
    '  default via fe80::2 dev eth0 proto ra metric 1024 pref medium | taken',
    '  default via fe80::1 dev wlp2s0 proto ra metric 1024 pref low | lower router preference',
  ]);
});

t.test('refused and lost', async t => {
  const routes6 = `
    unreachable 2000::/3 dev lo proto 173 metric 1 pref medium
    default via fe80::1 dev wlp2s0 proto ra metric 1024 pref medium
  `;
  t.same(answer('2001:db8::1', { routes6 }), [
    'refused: unreachable 2000::/3 dev lo proto 173 metric 1 pref medium',
    notLocal,
    '32766 finds it in table main',
    '  unreachable 2000::/3 dev lo proto 173 metric 1 pref medium | taken',
    '  default via fe80::1 dev wlp2s0 proto ra metric 1024 pref medium | shorter prefix: /0 says less than /3',
  ]);
  t.same(answer('8.8.8.8', {}), ['lost', notLocal, '32766 finds nothing in table main']);
});

t.test('mode table: own rules before the main table', async t => {
  const own = 'default dev ppp0 table 17300 proto 173 scope link';
  const dump = {
    routes: `${howToTable}\n${own}\n203.0.113.5 via 192.168.1.1 dev wlp2s0 table 17300 proto 173`,
    rules: `
      0:	from all lookup local
      17300:	from all to 203.0.113.5 lookup 17300 proto 173
      17310:	from all lookup main suppress_prefixlength 0 proto 173
      17320:	from all lookup 17300 proto 173
      32766:	from all lookup main
      32767:	from all lookup default
    `,
  };
  t.same(answer('8.8.8.8', dump), [
    `routed: ${own}`,
    notLocal,
    '17300 is for other destinations',
    '17310 finds nothing in table main that is longer than /0',
    `  ${gateway} | passed over: this rule takes nothing as short as /0`,
    '17320 finds it in table 17300',
    `  ${own} | taken`,
  ]);
  t.same(answer('69.90.184.209', dump).slice(3, 6), [
    '17310 finds it in table main',
    '  69.90.184.209 via 192.168.1.1 dev wlp2s0 src 192.168.1.100 | taken',
    `  ${gateway} | shorter prefix: /0 says less than /32`,
  ]);
  t.same(answer('203.0.113.5', dump), [
    'routed: 203.0.113.5 via 192.168.1.1 dev wlp2s0 table 17300 proto 173',
    notLocal,
    '17300 finds it in table 17300',
    '  203.0.113.5 via 192.168.1.1 dev wlp2s0 table 17300 proto 173 | taken',
    `  ${own} | shorter prefix: /0 says less than /32`,
    '17310 is not asked any more',
    `  ${gateway} | not asked: rule 17300 has decided`,
  ]);
});

t.test('rules of others', async t => {
  const local = '0: from all lookup local';
  const main = '32766: from all lookup main';
  const rows: [name: string, rule: string, expected: string[]][] = [
    [
      'a mark',
      '100: from all fwmark 0x1 lookup 100',
      [
        `routed: ${gateway}`,
        '? rule 100 (from all fwmark 0x1 lookup 100) is for some packets only, those with fwmark 0x1',
      ],
    ],
    [
      'a mark, for another destination',
      '100: from all to 10.0.0.0/8 fwmark 0x1 lookup 100',
      [`routed: ${gateway}`],
    ],
    [
      'the WireGuard way: all but marked packets, into a table that is not read',
      '100: not from all fwmark 0xca6c lookup 51820',
      [
        `routed: ${gateway}`,
        '? rule 100 asks table 51820 first, which ppp-routed does not read: `ip route get` tells',
      ],
    ],
    [
      'a source',
      '100: from 10.9.9.9 lookup 100',
      [
        `routed: ${gateway}`,
        '? rule 100 (from 10.9.9.9 lookup 100) is for some packets only, those with from 10.9.9.9',
      ],
    ],
    [
      'a VRF',
      '100: from all lookup [l3mdev-table]',
      [
        `routed: ${gateway}`,
        '? rule 100 (from all lookup [l3mdev-table]) is for some packets only, those with from inside a VRF',
      ],
    ],
    ['what the machine sends itself', '100: from all iif lo prohibit', ['refused']],
    ['all but one network', '100: not from all to 8.0.0.0/8 unreachable', [`routed: ${gateway}`]],
    ['a jump over the main table', '100: from all goto 32767', ['lost']],
    ['a jump to where it would go anyway', '100: from all goto 200', [`routed: ${gateway}`]],
    ['nothing', '100: from all nop', [`routed: ${gateway}`]],
  ];
  for (const [name, rule, expected] of rows) {
    const lines = answer('8.8.8.8', { routes: howToTable, rules: `${local}\n${rule}\n${main}` });
    t.same([lines[0], ...lines.filter(line => line.startsWith('?'))], expected, name);
  }
});

t.test('what a table answers to a rule', async t => {
  const rules = `
    0: from all lookup local
    100: from all goto 200
    150: from all prohibit
    200: from all lookup main suppress_prefixlength 0
    300: from all lookup 17300
    32766: from all lookup main
  `;
  const own = 'default dev ppp0 table 17300 proto 173 scope link';
  const rows: [name: string, main: string, expected: string][] = [
    ['nothing but a default: suppressed, the next table', gateway, `routed: ${own}`],
    ['a throw route: the next table', 'throw 8.0.0.0/8', `routed: ${own}`],
    ['a refusal is not suppressed', 'unreachable default metric 5', 'refused: unreachable default metric 5'],
    [
      'something longer',
      '8.0.0.0/8 via 192.168.1.1 dev wlp2s0',
      'routed: 8.0.0.0/8 via 192.168.1.1 dev wlp2s0',
    ],
  ];
  for (const [name, main, expected] of rows)
    t.equal(answer('8.8.8.8', { routes: `${main}\n${own}`, rules })[0], expected, name);
});

t.test('what only a program can say', async t => {
  const routes6 = 'fe80::/64 dev wlp2s0 proto kernel metric 256 pref medium';
  const doubt = '? for a link-local or multicast address the program that sends may choose another interface';
  t.equal(answer('fe80::1', { routes6 }).at(-1), doubt);
  t.equal(answer('224.0.0.251', { routes: howToTable }).at(-1), doubt);
});
