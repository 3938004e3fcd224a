// Row 17: two sites over a link, with real ARP and real pings. On the near side a LAN host and this machine, on the far
// side another gateway and a host of its network.
import type { Test } from 'tap';
import { ctl } from '../cli/ctl.ts';
import { Host } from './host.ts';
import { type Lab, scenario } from './lab.ts';

interface Sites {
  lanHost: Host;
  farGateway: Host;
  farHost: Host;
}

interface Ends {
  local: string;
  remote: string;
}

/** The far end has an address of the LAN, as with pppd's own proxyarp; or both ends have addresses of their own. */
const inLan: Ends = { local: '192.168.1.10', remote: '192.168.1.200' };
const apart: Ends = { local: '10.99.0.2', remote: '10.99.0.1' };

const profile = (more = '') =>
  `[link.work]\ndefault-route = "none"\nserver = "none"\nnetworks = ["193.6.37.0/24"]\n${more}\n`;
const withProxy = profile('proxy-arp = "auto"');

/** LAN host (192.168.1.50) — eth0 (this machine) ppp0 — far gateway (193.6.37.1) — far host (193.6.37.20). */
async function build(lab: Lab, profiles: string): Promise<Sites> {
  await lab.machine({ profiles });
  await forward(lab, true);
  const lanHost = await Host.on(lab, { 'far-eth0': 'eth0' });
  await lanHost.ip('address add 192.168.1.50/24 dev eth0');
  await lab.ip('link add farlan type veth peer name farport');
  const farGateway = await Host.on(lab, { farlan: 'eth0' });
  await farGateway.ip('address add 193.6.37.1/24 dev eth0');
  await farGateway.forward(true);
  const farHost = await Host.on(lab, { farport: 'eth0' });
  await farHost.ip('address add 193.6.37.20/24 dev eth0');
  return { lanHost, farGateway, farHost };
}

async function forward(lab: Lab, yes: boolean): Promise<void> {
  await lab.run('/bin/sh', '-c', `echo ${Number(yes)} >/proc/sys/net/ipv4/ip_forward`);
}

/** Both pppds bring the link up: the far one is played by the kernel alone, ours runs ip-up. */
async function up(lab: Lab, { farGateway }: Sites, { local, remote }: Ends): Promise<void> {
  await lab.plug('ppp0');
  await farGateway.take('far-ppp0', 'ppp0');
  // As in PPP there is no ARP: without it the kernel sends to its own hardware address, which is therefore the other's too.
  for (const ip of [lab.ip.bind(lab), farGateway.ip.bind(farGateway)])
    await ip('link set ppp0 arp off address 02:00:00:00:00:99');
  await farGateway.ip(`address add ${remote} peer ${local}/32 dev ppp0`);
  await lab.addAddress(`${local} peer ${remote}/32 dev ppp0`);
  await lab.fine(lab.hook('ip-up', 'ppp0', { local, remote }));
}

/** The hardware address that a host found for a neighbour. */
async function neighbourOf(host: Host, address: string): Promise<string | undefined> {
  return /lladdr (\S+)/.exec(await host.ip(`neighbour show ${address}`))?.[1];
}

async function hardwareAddressOf(lab: Lab, dev: string): Promise<string | undefined> {
  return /link\/ether (\S+)/.exec(await lab.ip(`link show ${dev}`))?.[1];
}

const lanTable = `
  default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100
  192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
  192.168.1.200 dev ppp0 proto kernel scope link src 192.168.1.10
  193.6.37.0/24 dev ppp0 proto 173 scope link
`;

scenario('17: networks, and proxy-arp = "auto" on a forwarding host with a LAN', async (lab, t) => {
  const sites = await build(lab, withProxy);
  const { lanHost, farGateway } = sites;
  await up(lab, sites, inLan);
  await farGateway.ip('route add 192.168.1.0/24 dev ppp0');
  await lab.shows(lanTable, 'the network is routed by the link');
  await lab.prints('neighbour show proxy', '192.168.1.200 dev eth0 proxy proto 173');
  t.equal(await lanHost.ping('192.168.1.200'), 'answered', 'a ping crosses');
  t.equal(
    await neighbourOf(lanHost, '192.168.1.200'),
    await hardwareAddressOf(lab, 'eth0'),
    'this machine answered ARP for the far end',
  );
  t.match(await lab.status(), { degraded: false, troubles: [] });
  await lab.down('ppp0', inLan);
  await lab.restored();
  await lanHost.ip('neighbour flush all');
  t.not(await lanHost.ping('192.168.1.200'), 'answered', 'nobody answers any more');
  t.equal(await neighbourOf(lanHost, '192.168.1.200'), undefined);
});

scenario('17: the link dies without ip-down, and nobody answers ARP for it', async (lab, t) => {
  const sites = await build(lab, withProxy);
  await up(lab, sites, inLan);
  await lab.ip('link del ppp0');
  await lab.restored(1000);
  t.match(await lab.status(), { degraded: false, links: [] });
});

scenario(
  'workstation routes instead of proxy ARP: what is printed is what makes pings cross',
  async (lab, t) => {
    const sites = await build(lab, profile());
    const { lanHost, farGateway, farHost } = sites;
    await up(lab, sites, apart);
    t.match(await lanHost.ping('193.6.37.20'), /unreachable/i, 'the LAN host knows no way');
    t.match(await farHost.ping('192.168.1.50'), /unreachable/i, 'and no more does the far host');
    const printed = await blocksOf(lab, t, 'workstations ppp0 --gateway 193.6.37.1');
    await follow(lanHost, printed, /^Hosts on 192\.168\.1\.0\/24, this machine's LAN on eth0$/);
    t.not(await lanHost.ping('193.6.37.20'), 'answered', 'half of it: nothing finds the way back');
    await follow(farHost, printed, /^Hosts on 193\.6\.37\.0\/24, behind ppp0 \(work\)$/);
    await follow(farGateway, printed, /^The far gateway$/);
    const pings: [from: string, host: Host, to: string, address: string][] = [
      ['the LAN host', lanHost, 'the far host', '193.6.37.20'],
      ['the far host', farHost, 'the LAN host', '192.168.1.50'],
      ['the LAN host', lanHost, 'the far end of the link', '10.99.0.1'],
      ['the far host', farHost, 'our end of the link', '10.99.0.2'],
    ];
    for (const [from, host, to, address] of pings)
      t.equal(await host.ping(address), 'answered', `from ${from} to ${to}`);
    await lab.down('ppp0', apart);
    await lab.restored();
    t.not(await lanHost.ping('193.6.37.20'), 'answered');
  },
);

scenario('workstations: what proxy ARP spares, and what else it has to say', async (lab, t) => {
  const sites = await build(lab, withProxy);
  await up(lab, sites, inLan);
  const { exitCode, stdout, stderr } = await ctl(lab, 'workstations work');
  t.same({ exitCode, stderr }, { exitCode: 0, stderr: '' });
  t.same(
    stdout.split('\n'),
    [
      "Hosts on 192.168.1.0/24, this machine's LAN on eth0",
      '  192.168.1.200 needs no route: this machine answers ARP for it',
      '  Linux',
      '    ip route add 193.6.37.0/24 via 192.168.1.10  # behind ppp0 (work)',
      '  Linux of old, net-tools',
      '    route add -net 193.6.37.0 netmask 255.255.255.0 gw 192.168.1.10',
      '  Windows, as administrator',
      '    route -p add 193.6.37.0 mask 255.255.255.0 192.168.1.10',
      '  All by DHCP, option 121',
      '    with 0.0.0.0/0 by 192.168.1.1: who gets option 121 ignores the router of option 3 (RFC 3442)',
      '    bytes    18:C1:06:25:C0:A8:01:0A:00:C0:A8:01:01',
      '    dnsmasq  dhcp-option=121,193.6.37.0/24,192.168.1.10,0.0.0.0/0,192.168.1.1',
      '    Kea      {"code":121,"csv-format":false,"data":"18C10625C0A8010A00C0A80101"}',
      '    Kea 2.6  {"name":"classless-static-route","data":"193.6.37.0/24 - 192.168.1.10, 0.0.0.0/0 - 192.168.1.1"}',
      '',
      'Hosts on 193.6.37.0/24, behind ppp0 (work)',
      '  Linux',
      '    ip route add 192.168.1.0/24 via GATEWAY  # the LAN on eth0 of this machine',
      '  Linux of old, net-tools',
      '    route add -net 192.168.1.0 netmask 255.255.255.0 gw GATEWAY',
      '  Windows, as administrator',
      '    route -p add 192.168.1.0 mask 255.255.255.0 GATEWAY',
      '  All by DHCP, option 121',
      '    with 0.0.0.0/0 by GATEWAY: who gets option 121 ignores the router of option 3 (RFC 3442)',
      '    dnsmasq  dhcp-option=121,192.168.1.0/24,GATEWAY,0.0.0.0/0,GATEWAY',
      '    Kea 2.6  {"name":"classless-static-route","data":"192.168.1.0/24 - GATEWAY, 0.0.0.0/0 - GATEWAY"}',
      "  Note: GATEWAY stands for the far gateway's address on that network; give it by --gateway",
      '',
      'The far gateway',
      '  Linux',
      '    ip route add 192.168.1.0/24 via 192.168.1.10  # the LAN on eth0 of this machine, by its end of ppp0',
      '  Linux of old, net-tools',
      '    route add -net 192.168.1.0 netmask 255.255.255.0 gw 192.168.1.10',
      '  Windows, as administrator',
      '    route -p add 192.168.1.0 mask 255.255.255.0 192.168.1.10',
      '',
      'Note: hosts that have the gateway named here as their default gateway need no further route',
    ],
    'workstations work',
  );
  await forward(lab, false);
  t.match(
    (await ctl(lab, 'workstations ppp0')).stdout,
    /\nNote: eth0 does not forward, so nothing crosses: sysctl net/,
  );
  const rows: [words: string, exitCode: number, says: RegExp][] = [
    ['workstations', 2, /missing required argument 'link'/],
    ['workstations ppp9', 1, /no link "ppp9" is up\n {2}There is ppp0 \(work\)/],
    ['workstations ppp0 --gateway 192.168.1.0/24', 2, /"192\.168\.1\.0\/24" is not an address/],
    [
      'workstations ppp0 --gateway 10.0.0.1',
      2,
      /10\.0\.0\.1 is in no network behind ppp0 \(work\) \(193\.6\.37\.0\/24\)/,
    ],
    ['workstations ppp0 --lan ppp0', 2, /ppp0 is no LAN with hosts/],
  ];
  for (const [words, exitCode, says] of rows) {
    const ended = await ctl(lab, words);
    t.same({ exitCode: ended.exitCode, stdout: ended.stdout }, { exitCode, stdout: '' }, words);
    t.match(ended.stderr, says);
  }
  const told = JSON.parse((await ctl(lab, 'workstations work --json')).stdout);
  t.match(told, {
    link: 'ppp0 (work)',
    local: [
      {
        network: '192.168.1.0/24',
        dev: 'eth0',
        routes: [{ destination: '193.6.37.0/24', ip: 'ip route add 193.6.37.0/24 via 192.168.1.10' }],
        needless: [{ destination: '192.168.1.200' }],
        option121: { bytes: '18:C1:06:25:C0:A8:01:0A:00:C0:A8:01:01' },
      },
    ],
    remote: [{ network: '193.6.37.0/24', gateway: 'GATEWAY' }],
    farGateway: [{ gateway: '192.168.1.10' }],
  });
  await lab.stopDaemon();
  t.equal((await ctl(lab, 'workstations work')).exitCode, 3, 'no daemon');
});

scenario('forwarding is off: the status says so, and it comes right by itself', async (lab, t) => {
  const sites = await build(lab, withProxy);
  const { lanHost, farGateway } = sites;
  await forward(lab, false);
  await up(lab, sites, inLan);
  await farGateway.ip('route add 192.168.1.0/24 dev ppp0');
  const { degraded, troubles } = await lab.status();
  t.equal(degraded, true);
  t.same(troubles, [
    'ppp0: eth0 does not forward, so it does not answer ARP for 192.168.1.200: sysctl net.ipv4.conf.eth0.forwarding=1',
    'ppp0: it does not forward, so what 192.168.1.200 sends ends here: sysctl net.ipv4.conf.ppp0.forwarding=1',
  ]);
  t.not(await lanHost.ping('192.168.1.200'), 'answered');
  for (const trouble of troubles) await obey(lab, trouble.split(': ').at(-1) ?? '');
  // It may still be asking, and about to give up.
  await lanHost.ip('neigh flush to 192.168.1.200');
  t.equal(await lanHost.ping('192.168.1.200'), 'answered', 'at once: the kernel knows the rest');
  await lab.until(async () => !(await lab.status()).degraded, 6500);
  t.same((await lab.status()).troubles, [], 'and the status within the retry');
  await lab.down('ppp0', inLan);
  await lab.restored();
});

scenario(
  'a network that overlaps the LAN is told; a part that is excluded stays on the uplink',
  async (lab, t) => {
    await lab.machine({
      profiles:
        '[link.work]\nserver = "none"\nnetworks = ["192.168.0.0/16", "10.0.0.0/8"]\nexclude = ["10.7.0.0/16"]\n',
    });
    await lab.up('ppp0');
    await lab.shows(`
    default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100
    10.0.0.0/8 dev ppp0 proto 173 scope link
    10.7.0.0/16 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
    10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
    192.168.0.0/16 dev ppp0 proto 173 scope link
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
  `);
    await lab.says(/network 192\.168\.0\.0\/16 of profile work overlaps the LAN 192\.168\.1\.10\/24 on eth0/);
    const ways: Record<string, string> = {
      '10.1.2.3': 'ppp0',
      '10.7.0.1': 'eth0',
      '192.168.2.3': 'ppp0',
      '192.168.1.50': 'eth0',
      '8.8.8.8': 'eth0',
    };
    for (const [address, dev] of Object.entries(ways)) t.equal(await lab.deviceTo(address), dev, address);
    await lab.down('ppp0');
    await lab.restored();
  },
);

/** What a command printed, in blocks under their headings. */
async function blocksOf(lab: Lab, t: Test, words: string): Promise<string[][]> {
  const { exitCode, stdout, stderr } = await ctl(lab, words);
  t.same({ exitCode, stderr }, { exitCode: 0, stderr: '' }, words);
  return stdout.split('\n\n').map(block => block.split('\n'));
}

/** Types every `ip route` line under that heading on a host, as it stands. */
async function follow(host: Host, printed: string[][], heading: RegExp): Promise<void> {
  const lines = printed.find(([first = '']) => heading.test(first)) ?? [];
  const commands = lines.filter(line => /^ +ip route add /.test(line));
  if (commands.length === 0) throw new Error(`nothing to type under ${heading}`);
  await host.run('/bin/sh', '-euc', commands.join('\n'));
}

/** What `sysctl NAME=VALUE` does; the program may not be installed. */
async function obey(lab: Lab, command: string): Promise<void> {
  const [, name = '', value = ''] = /^sysctl (\S+)=(\S+)$/.exec(command) ?? [];
  await lab.run('/bin/sh', '-euc', `echo ${value} >/proc/sys/${name.replaceAll('.', '/')}`);
}
