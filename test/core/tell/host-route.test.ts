import t from 'tap';
import { parsePrefix } from '../../../src/core/route/prefix.ts';
import { spell } from '../../../src/core/tell/host-route.ts';

const rows = [
  {
    to: '193.6.37.0/24',
    by: '192.168.1.10',
    ip: 'ip route add 193.6.37.0/24 via 192.168.1.10',
    route: 'route add -net 193.6.37.0 netmask 255.255.255.0 gw 192.168.1.10',
    windows: 'route -p add 193.6.37.0 mask 255.255.255.0 192.168.1.10',
  },
  {
    to: '10.99.0.1/32',
    by: '192.168.1.10',
    ip: 'ip route add 10.99.0.1 via 192.168.1.10',
    route: 'route add -host 10.99.0.1 gw 192.168.1.10',
    windows: 'route -p add 10.99.0.1 mask 255.255.255.255 192.168.1.10',
  },
  {
    to: '10.128.0.0/9',
    by: 'GATEWAY',
    ip: 'ip route add 10.128.0.0/9 via GATEWAY',
    route: 'route add -net 10.128.0.0 netmask 255.128.0.0 gw GATEWAY',
    windows: 'route -p add 10.128.0.0 mask 255.128.0.0 GATEWAY',
  },
  {
    to: '172.16.7.9/30',
    by: '172.16.7.1',
    ip: 'ip route add 172.16.7.8/30 via 172.16.7.1',
    route: 'route add -net 172.16.7.8 netmask 255.255.255.252 gw 172.16.7.1',
    windows: 'route -p add 172.16.7.8 mask 255.255.255.252 172.16.7.1',
  },
  {
    to: '2001:db8:77::/48',
    by: 'fd00:1::10',
    ip: 'ip -6 route add 2001:db8:77::/48 via fd00:1::10',
    route: 'route -A inet6 add 2001:db8:77::/48 gw fd00:1::10',
    windows: 'route -p add 2001:db8:77::/48 fd00:1::10',
  },
];

t.test('a route as administrators type it', async t => {
  for (const { to, by, ...spellings } of rows) {
    const destination = parsePrefix(to);
    if (destination === undefined) throw new Error(to);
    t.same(spell({ destination, gateway: by, what: '' }), spellings, to);
  }
});
