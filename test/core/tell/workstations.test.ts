import t from 'tap';
import type { Profile } from '../../../src/core/link/profile.ts';
import { spell } from '../../../src/core/tell/host-route.ts';
import type { Hosts } from '../../../src/core/tell/hosts.ts';
import { type Question, workstationsOf } from '../../../src/core/tell/workstations.ts';
import { type Dump, readDump, workLink } from '../../cli/machine.ts';

interface Site extends Omit<Question, 'link'> {
  dump?: Dump;
  profile?: Partial<Profile>;
  local?: string;
  remote?: string;
  proxied?: string;
  saved?: string;
}

const office: Partial<Profile> = { 'default-route': 'none', networks: ['193.6.37.0/24'] };
/** A gateway between the Internet on wlp2s0 and a LAN on eth0. */
const gateway: Dump = {
  addresses: `
    1: lo    inet 127.0.0.1/8 scope host lo
    2: wlp2s0    inet 203.0.113.9/24 brd 203.0.113.255 scope global wlp2s0
    3: eth0    inet 192.168.1.10/24 brd 192.168.1.255 scope global eth0
    3: eth0    inet 192.168.1.11/24 scope global secondary eth0
    3: eth0    inet6 fd00:1::10/64 scope global
    3: eth0    inet6 fe80::10/64 scope link
    6: ppp0    inet 10.99.0.2 peer 10.99.0.1/32 scope global ppp0
  `,
  routes: 'default via 203.0.113.1 dev wlp2s0 metric 302',
};

function answerTo({ dump = gateway, profile = office, local, remote, proxied, saved, ...question }: Site) {
  const ends = { local: local ?? '10.99.0.2', remote: remote ?? '10.99.0.1' };
  const link = { ...workLink(profile), inet: ends, says: '' };
  const observed = readDump(dump);
  if (proxied !== undefined)
    observed.proxyNeighbours.push({ family: 'inet', address: ends.remote, dev: proxied, protocol: '173' });
  const savedDefaults = saved === undefined ? [] : [{ family: 'inet' as const, route: saved }];
  const {
    local: near,
    remote: far,
    ...rest
  } = workstationsOf({ link, ...question }, { links: [link], observed, savedDefaults });
  return { near: near.map(linesOf), far: far.map(linesOf), ...rest };
}

/** What hosts are told, in Linux' words. */
function linesOf(hosts: Hosts): string[] {
  return [
    ...hosts.routes.map(route => spell(route).ip.replace(' route add', '')),
    ...hosts.needless.map(({ destination, why }) => `${destination.address.toString()}: ${why}`),
    `default by ${hosts.router}`,
    ...hosts.notes,
  ];
}

const noteOnGateway = "GATEWAY stands for the far gateway's address on that network; give it by --gateway";

t.test('a gateway between the Internet and a LAN', async t => {
  const { near, far, farGateway, notes } = answerTo({});
  t.same(near, [
    ['ip 193.6.37.0/24 via 192.168.1.10', 'ip 10.99.0.1 via 192.168.1.10', 'default by 192.168.1.10'],
  ]);
  t.same(far, [
    ['ip 192.168.1.0/24 via GATEWAY', 'ip 10.99.0.2 via GATEWAY', 'default by GATEWAY', noteOnGateway],
  ]);
  t.same(
    farGateway.map(route => spell(route).ip),
    ['ip route add 192.168.1.0/24 via 10.99.0.2'],
  );
  t.same(notes, [
    "203.0.113.0/24 on wlp2s0 is left out, because this machine's default leaves there; if hosts on it are meant: --lan wlp2s0",
    'hosts that have the gateway named here as their default gateway need no further route',
  ]);
});

t.test('a laptop has one network for everything; its router is another host', async t => {
  const howTo = 'default via 192.168.1.1 dev wlp2s0 metric 302';
  const lines = [
    ['ip 193.6.37.0/24 via 192.168.1.100', 'ip 10.99.0.1 via 192.168.1.100', 'default by 192.168.1.1'],
  ];
  t.same(answerTo({ dump: { routes: howTo } }).near, lines);
  const replaced = { ...office, 'default-route': 'replace' as const };
  const { near, notes } = answerTo({
    dump: { routes: 'default dev ppp0 proto 173' },
    profile: replaced,
    saved: howTo,
  });
  t.same(near, lines, 'while its default is displaced');
  t.match(notes.join('\n'), /profile work sends everything over ppp0/);
});

t.test('what is not needed', async t => {
  const inLan = { local: '192.168.1.10', remote: '192.168.1.200' };
  t.same(answerTo({ ...inLan, proxied: 'eth0' }).near, [
    [
      'ip 193.6.37.0/24 via 192.168.1.10',
      '192.168.1.200: this machine answers ARP for it',
      'default by 192.168.1.10',
    ],
  ]);
  t.same(
    answerTo(inLan).near,
    [['ip 193.6.37.0/24 via 192.168.1.10', 'ip 192.168.1.200 via 192.168.1.10', 'default by 192.168.1.10']],
    'without proxy ARP',
  );
  t.same(answerTo({ ...inLan, gateway: '193.6.37.1' }).far, [
    ['ip 192.168.1.0/24 via 193.6.37.1', 'default by 193.6.37.1'],
  ]);
});

t.test('the far end is in the far network', async t => {
  const { near, far } = answerTo({ local: '193.6.37.77', remote: '193.6.37.1' });
  t.same(near, [['ip 193.6.37.0/24 via 192.168.1.10', 'default by 192.168.1.10']]);
  t.same(far, [
    [
      'ip 192.168.1.0/24 via 193.6.37.1',
      'ip 193.6.37.77 via 193.6.37.1',
      'default by 193.6.37.1',
      "193.6.37.1, the far end of the link, is in that network: taken for the far gateway's address there",
      '193.6.37.77 is in that network: its route is not needed if the far gateway answers ARP for it (proxyarp)',
    ],
  ]);
});

t.test('several networks, both families, one that is on both sides', async t => {
  const networks = ['193.6.37.0/24', '192.168.1.0/24', '2001:db8:77::/48', '172.16.0.0/12'];
  const { near, far } = answerTo({ profile: { ...office, networks }, gateway: '172.16.0.1' });
  const both = '192.168.1.0/24 is on both sides of the link: no route can tell the two apart';
  t.same(near, [
    [
      'ip 193.6.37.0/24 via 192.168.1.10',
      'ip 172.16.0.0/12 via 192.168.1.10',
      'ip 10.99.0.1 via 192.168.1.10',
      'default by 192.168.1.10',
      both,
    ],
    ['ip -6 2001:db8:77::/48 via fd00:1::10', 'default by fd00:1::10'],
  ]);
  t.same(far, [
    ['ip 192.168.1.0/24 via GATEWAY', 'ip 10.99.0.2 via GATEWAY', 'default by GATEWAY', noteOnGateway],
    ['ip 10.99.0.2 via GATEWAY', 'default by GATEWAY', both, noteOnGateway],
    ['ip -6 fd00:1::/64 via GATEWAY', 'default by GATEWAY', noteOnGateway],
    ['ip 192.168.1.0/24 via 172.16.0.1', 'ip 10.99.0.2 via 172.16.0.1', 'default by 172.16.0.1'],
  ]);
});

t.test('one LAN is asked about; there is none; nothing is known behind the link', async t => {
  t.same(answerTo({ lan: 'wlp2s0' }).near, [
    ['ip 193.6.37.0/24 via 203.0.113.9', 'ip 10.99.0.1 via 203.0.113.9', 'default by 203.0.113.1'],
  ]);
  const alone = '1: lo    inet 127.0.0.1/8 scope host lo';
  t.same(answerTo({ dump: { addresses: alone } }).notes, [
    'this machine is on no LAN that hosts could be on',
  ]);
  const { near, far, farGateway, notes } = answerTo({ profile: { 'default-route': 'none' } });
  t.same(
    { near, far, farGateway },
    { near: [['ip 10.99.0.1 via 192.168.1.10', 'default by 192.168.1.10']], far: [], farGateway: [] },
  );
  t.match(notes[0], /^no network is known behind ppp0 \(work\): profile work has no networks/);
});
