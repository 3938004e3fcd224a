import fc from 'fast-check';
import t from 'tap';
import { parsePrefix } from '../../../src/core/route/prefix.ts';
import { type ClasslessRoute, describeOption121, encodeOption121 } from '../../../src/core/tell/option121.ts';
import { seed } from '../../form.ts';

function routeTo(text: string, gateway: string): ClasslessRoute {
  const destination = parsePrefix(text);
  if (destination === undefined) throw new Error(text);
  return { destination, gateway };
}

/** What a client reads from the option: RFC 3442, written from its words and not from the encoder. */
function decode(bytes: readonly number[]): string[] {
  const rest = [...bytes];
  const routes: string[] = [];
  while (rest.length > 0) {
    const width = rest.shift() ?? 0;
    const significant = width === 0 ? 0 : width <= 8 ? 1 : width <= 16 ? 2 : width <= 24 ? 3 : 4;
    const subnet = [...rest.splice(0, significant), 0, 0, 0, 0].slice(0, 4);
    const router = rest.splice(0, 4);
    if (router.length < 4) throw new Error('cut short');
    routes.push(`${subnet.join('.')}/${width} ${router.join('.')}`);
  }
  return routes;
}

/** The table of destination descriptors in RFC 3442. */
const descriptors = [
  ['0.0.0.0/0', '0'],
  ['10.0.0.0/8', '8.10'],
  ['10.0.0.0/24', '24.10.0.0'],
  ['10.17.0.0/16', '16.10.17'],
  ['10.27.129.0/24', '24.10.27.129'],
  ['10.229.0.128/25', '25.10.229.0.128'],
  ['10.198.122.47/32', '32.10.198.122.47'],
] as const;

t.test("the RFC's own examples", async t => {
  for (const [destination, descriptor] of descriptors) {
    const bytes = encodeOption121([routeTo(destination, '10.229.0.1')]);
    t.equal(bytes?.join('.'), `${descriptor}.10.229.0.1`, destination);
  }
});

t.test('a client reads what was written', async t => {
  const octet = fc.integer({ min: 0, max: 255 });
  const address = fc.tuple(octet, octet, octet, octet).map(octets => octets.join('.'));
  const route = fc.tuple(address, fc.integer({ min: 0, max: 32 }), address);
  fc.assert(
    fc.property(fc.array(route, { maxLength: 12 }), routes => {
      const bytes = encodeOption121(
        routes.map(([network, length, router]) => routeTo(`${network}/${length}`, router)),
      );
      const said = routes.map(
        ([network, length, router]) => `${masked(network, length)}/${length} ${router}`,
      );
      t.same(decode(bytes ?? [-1]), said);
      t.ok(bytes?.every(byte => byte >= 0 && byte <= 255));
    }),
    { seed },
  );
});

/** Host bits cleared, one bit at a time. */
function masked(address: string, length: number): string {
  const bits = address
    .split('.')
    .map(octet => Number(octet).toString(2).padStart(8, '0'))
    .join('');
  const network = bits.slice(0, length).padEnd(32, '0');
  return [0, 8, 16, 24].map(start => Number.parseInt(network.slice(start, start + 8), 2)).join('.');
}

t.test('the option as people and servers write it', async t => {
  const routes = [
    routeTo('193.6.37.0/24', '192.168.1.10'),
    routeTo('10.99.0.1', '192.168.1.10'),
    routeTo('0.0.0.0/0', '192.168.1.1'),
  ];
  t.same(describeOption121(routes), {
    bytes: '18:C1:06:25:C0:A8:01:0A:20:0A:63:00:01:C0:A8:01:0A:00:C0:A8:01:01',
    dnsmasq: 'dhcp-option=121,193.6.37.0/24,192.168.1.10,10.99.0.1/32,192.168.1.10,0.0.0.0/0,192.168.1.1',
    kea: {
      anyVersion: {
        code: 121,
        'csv-format': false,
        data: '18C10625C0A8010A200A630001C0A8010A00C0A80101',
      },
      since26: {
        name: 'classless-static-route',
        data: '193.6.37.0/24 - 192.168.1.10, 10.99.0.1/32 - 192.168.1.10, 0.0.0.0/0 - 192.168.1.1',
      },
    },
  });
});

t.test('no bytes while a gateway is not known; a word where there are too many', async t => {
  t.same(describeOption121([routeTo('192.168.1.0/24', 'GATEWAY')]), {
    dnsmasq: 'dhcp-option=121,192.168.1.0/24,GATEWAY',
    kea: { since26: { name: 'classless-static-route', data: '192.168.1.0/24 - GATEWAY' } },
  });
  const many = Array.from({ length: 33 }, (_, i) => routeTo(`10.0.${i}.0/24`, '192.168.1.10'));
  t.match(describeOption121(many).fault, /^264 bytes: more than the 255 of one option/);
  t.equal(describeOption121(many.slice(0, 31)).fault, undefined);
});
