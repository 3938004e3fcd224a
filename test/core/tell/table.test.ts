import fc from 'fast-check';
import t from 'tap';
import type { Link } from '../../../src/core/link/link.ts';
import type { SavedDefault } from '../../../src/core/link/state.ts';
import { maskOf, readTables } from '../../../src/core/tell/table.ts';
import { type Dump, howToTable, readDump, workLink } from '../../cli/machine.ts';
import { seed } from '../../form.ts';

/** The rows as `route -n` would print them, with what they mean. */
function print(dump: Dump, links: Link[] = [], savedDefaults: SavedDefault[] = []): string[] {
  return readTables({ links, observed: readDump(dump), savedDefaults }).flatMap(({ title, rows }) => [
    `${title}:`,
    ...rows.map(({ destination, gateway, genmask, flags, metric, iface, meaning }) =>
      [destination, gateway, genmask, flags, metric, iface, meaning && `# ${meaning.role}: ${meaning.words}`]
        .filter(cell => cell !== undefined)
        .join(' '),
    ),
  ]);
}

function lines(text: string): string[] {
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(Boolean);
}

t.test('the table of the PPTP how-to', async t => {
  t.same(
    print({ routes: howToTable }),
    lines(`
      IPv4, table main:
      0.0.0.0 192.168.1.1 0.0.0.0 UG 302 wlp2s0 # uplink-default: the uplink's default: what no other line covers goes to the gateway 192.168.1.1
      69.90.184.209 192.168.1.1 255.255.255.255 UGH 0 wlp2s0 # foreign: a route of others: the host 69.90.184.209 by the gateway 192.168.1.1
      192.168.1.0 0.0.0.0 255.255.255.0 U 0 wlp2s0 # lan: the network on wlp2s0: reached directly, without a gateway
      192.168.1.0 0.0.0.0 255.255.255.0 U 302 wlp2s0 # lan: the network on wlp2s0: reached directly, without a gateway
      192.168.1.100 127.0.0.1 255.255.255.255 UGH 302 lo # this-machine: this machine's own address: stays inside it
    `),
  );
});

t.test('while the link is up', async t => {
  const link = workLink({ networks: ['193.6.37.0/24'], exclude: ['10.0.0.0/8'], ipv6: 'block' });
  t.same(
    print(
      {
        routes: `
          default dev ppp0 proto 173 scope link
          default dev ppp0 scope link metric 5
          10.0.0.0/8 via 192.168.1.1 dev wlp2s0 proto ppp-routed
          10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
          172.16.0.0/12 via 10.99.0.1 dev ppp0
          192.168.1.0/24 dev wlp2s0 proto kernel scope link src 192.168.1.100
          193.6.37.0/24 dev ppp0 proto 173 scope link
          198.51.100.0/24 dev ppp7 proto 173 scope link
          203.0.113.5 via 192.168.1.1 dev wlp2s0 proto 173
        `,
        routes6: `
          unreachable 2000::/3 dev lo proto 173 metric 1 pref medium
          fe80::/64 dev wlp2s0 proto kernel metric 256 pref medium
          default via fe80::1 dev wlp2s0 proto ra metric 1024 expires 1700sec pref medium
        `,
      },
      [link],
    ),
    lines(`
      IPv4, table main:
      0.0.0.0 0.0.0.0 0.0.0.0 U 0 ppp0 # link-default: the default of ppp0 (work): what no longer prefix covers goes through the tunnel
      0.0.0.0 0.0.0.0 0.0.0.0 U 5 ppp0 # foreign: a default through ppp0 (work) that ppp-routed did not add (pppd's defaultroute?)
      10.0.0.0 192.168.1.1 255.0.0.0 UG 0 wlp2s0 # exclude: excluded by ppp0 (work): stays on the uplink
      10.99.0.1 0.0.0.0 255.255.255.255 UH 0 ppp0 # far-end: the far end of ppp0 (work)
      172.16.0.0 10.99.0.1 255.240.0.0 UG 0 ppp0 # foreign: a route of others through ppp0 (work)
      192.168.1.0 0.0.0.0 255.255.255.0 U 0 wlp2s0 # lan: the network on wlp2s0: reached directly, without a gateway
      193.6.37.0 0.0.0.0 255.255.255.0 U 0 ppp0 # link-network: a network behind ppp0 (work)
      198.51.100.0 0.0.0.0 255.255.255.0 U 0 ppp7 # leftover: a leftover of ppp-routed: swept at its next look
      203.0.113.5 192.168.1.1 255.255.255.255 UGH 0 wlp2s0 # pin: the VPN server of ppp0 (work): pinned to the uplink, or the tunnel would run through itself
      IPv6, table main:
      2000::/3 - ! 1 - # block: blocked while the link is up, so that IPv6 does not leak past the tunnel
      fe80::/64 :: U 256 wlp2s0 # lan: neighbours on wlp2s0, by link-local address
      ::/0 fe80::1 UG 1024 wlp2s0 # uplink-default: the uplink's default: stands by, a block of ours is asked first
    `),
  );
});

t.test('two uplinks, and the link beside them', async t => {
  const uplinks = `
    default via 192.168.1.1 dev wlp2s0 metric 302
    default via 10.0.0.1 dev eth0 metric 600
  `;
  const words = (routes: string, links: Link[]) =>
    print({ routes }, links)
      .map(row => row.split('# ')[1])
      .slice(1);
  t.same(words(uplinks, []), [
    "uplink-default: the uplink's default: what no other line covers goes to the gateway 192.168.1.1",
    'uplink-default: another default of the uplink: stands by with a worse metric',
  ]);
  t.same(words(`default dev ppp0 proto 173 ${uplinks}`, [workLink()]), [
    'link-default: the default of ppp0 (work): what no longer prefix covers goes through the tunnel',
    "uplink-default: the uplink's default: stands by, ppp0 is asked first",
    "uplink-default: the uplink's default: stands by, ppp0 is asked first",
  ]);
  t.same(words('0.0.0.0/1 dev ppp0 proto 173\n 128.0.0.0/1 dev ppp0 proto 173', [workLink()]), [
    "link-default: a part of the default of ppp0 (work): longer than the uplink's, so it wins",
    "link-default: a part of the default of ppp0 (work): longer than the uplink's, so it wins",
  ]);
});

t.test('the gateway under a network behind the link', async t => {
  const gateway = '192.168.1.1 dev wlp2s0 proto 173 scope link';
  const network = workLink({ networks: ['192.168.0.0/16'], 'default-route': 'none' });
  const saved = { family: 'inet' as const, route: 'default via 192.168.1.1 dev wlp2s0' };
  const words = "# pin: the uplink's gateway: kept in reach, a network behind a link covers it";
  t.match(print({ routes: gateway }, [network], [saved]).at(-1), words, 'its default is displaced');
  t.match(print({ routes: `${saved.route}\n${gateway}` }, [network]).at(-1), words, 'its default is there');
  t.match(print({ routes: gateway }, [network]).at(-1), '# leftover:', 'no uplink has such a gateway');
});

t.test('a link whose loss stops traffic', async t => {
  const link = workLink({ 'on-loss': 'block' });
  const behind = 'default dev ppp0 proto 173\nunreachable default proto 173 metric 1';
  t.match(
    print({ routes: behind }, [link]).at(-1),
    '# block: takes over should the link be lost: then nothing leaves until it returns',
  );
  const dark = 'unreachable default proto 173\ndefault via 192.168.1.1 dev wlp2s0 metric 302';
  t.match(print({ routes: dark }, [{ ...link, lost: true }]).slice(1), [
    '# block: blocked: ppp0 (work) is lost, and nothing may leave until it returns',
    "# uplink-default: the uplink's default: stands by, a block of ours is asked first",
  ]);
});

t.test('routes that are not a line of numbers each', async t => {
  t.same(
    print(
      {
        routes: String.raw`
        default metric 10 \	nexthop via 192.168.1.1 dev wlp2s0 weight 1 \	nexthop via 10.0.0.1 dev eth0 weight 2
        10.1.0.0/16 via inet6 fe80::1 dev eth0
        blackhole 10.2.0.0/16
        10.3.0.0/16 dev eth0 scope link
        203.0.113.5 via 192.168.1.1 dev wlp2s0
        default dev ppp0 table 17300 proto 173 scope link
      `,
      },
      [workLink()],
    ),
    lines(`
      IPv4, table main:
      0.0.0.0 192.168.1.1 0.0.0.0 UG 10 wlp2s0 # uplink-default: the uplink's default: stands by, ppp0 is asked first
      0.0.0.0 10.0.0.1 0.0.0.0 UG 10 eth0
      10.1.0.0 fe80::1 255.255.0.0 UG 0 eth0 # foreign: a route of others: the network 10.1.0.0/16 by the gateway fe80::1
      10.2.0.0 - 255.255.0.0 ! 0 - # foreign: packets to the network 10.2.0.0/16 are refused
      10.3.0.0 0.0.0.0 255.255.0.0 U 0 eth0 # foreign: a route of others: the network 10.3.0.0/16 directly on eth0
      203.0.113.5 192.168.1.1 255.255.255.255 UGH 0 wlp2s0 # foreign: the VPN server of ppp0 (work), by a route of others: honoured and left
      IPv4, table 17300, ppp-routed's own:
      0.0.0.0 0.0.0.0 0.0.0.0 U 0 ppp0 # link-default: the default of ppp0 (work): what no longer prefix covers goes through the tunnel
    `),
  );
});

t.test('a mask has as many leading ones as the prefix is long', async () => {
  const bitsOf = (mask: string) => mask.split('.').map(byte => Number(byte).toString(2).padStart(8, '0'));
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 32 }),
      length => bitsOf(maskOf(length)).join('') === '1'.repeat(length).padEnd(32, '0'),
    ),
    { seed },
  );
});
