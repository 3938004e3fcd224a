import t from 'tap';
import { routes } from '../../src/cli/routes.ts';
import { roomWith, sightOf } from './room.ts';

const dump = {
  routes: `
    default via 192.168.1.1 dev wlp2s0 metric 302
    203.0.113.5 via 192.168.1.1 dev wlp2s0 proto 173
    default dev ppp0 table 17300 proto 173 scope link
  `,
  rules: `
    0: from all lookup local
    17300: from all to 203.0.113.5 lookup main proto 173
    17310: from all lookup main suppress_prefixlength 0 proto 173
    17320: from all lookup 17300 proto 173
    32766: from all lookup main
  `,
};

async function printRoutes(columns?: number): Promise<string[]> {
  const room = roomWith(async () => sightOf(dump), columns);
  await routes(room, {});
  return room.printed();
}

t.test('the words stand beside the numbers where there is room', async t => {
  const beside = [
    'IPv4, table main',
    'Destination  Gateway      Genmask          Flags  Metric  Iface   Meaning',
    "0.0.0.0      192.168.1.1  0.0.0.0          UG     302     wlp2s0  the uplink's default: stands by, ppp0 is asked first",
    '203.0.113.5  192.168.1.1  255.255.255.255  UGH    0       wlp2s0  the VPN server of ppp0 (work): pinned to the uplink, or the tunnel would run through itself',
    '',
    "IPv4, table 17300, ppp-routed's own",
    'Destination  Gateway  Genmask  Flags  Metric  Iface  Meaning',
    '0.0.0.0      0.0.0.0  0.0.0.0  U      0       ppp0   the default of ppp0 (work): what no longer prefix covers goes through the tunnel',
    '',
    'Rules of ppp-routed, in the order they are asked',
    '17300: from all to 203.0.113.5 lookup main  the VPN server or an excluded network: never into the tunnel',
    '17310: from all lookup main suppress_prefixlength 0  the main table first, for all but its default',
    "17320: from all lookup 17300  what is left goes by the link's own table",
    '',
    'Flags: U the route is up; G goes by a gateway; H leads to one host',
  ];
  t.same(await printRoutes(), beside, 'into a file');
  t.same(await printRoutes(200), beside, 'on a wide terminal');
  t.same((await printRoutes(80)).slice(0, 6), [
    'IPv4, table main',
    'Destination  Gateway      Genmask          Flags  Metric  Iface',
    '0.0.0.0      192.168.1.1  0.0.0.0          UG     302     wlp2s0',
    "    the uplink's default: stands by, ppp0 is asked first",
    '203.0.113.5  192.168.1.1  255.255.255.255  UGH    0       wlp2s0',
    '    the VPN server of ppp0 (work): pinned to the uplink, or the tunnel would run through itself',
  ]);
});
