// Up and down, from the start of the first script to the end of the second: the hooks with the daemon's answer, beside
// scripts that do as much. Every contender has a machine of its own, all alike; they take turns.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { median, middleHalf, quantile } from '../figures.ts';
import { Machine, replaceProfile, root } from '../machine.ts';
import { atMost, type Result } from '../row.ts';

const peers = join(root, 'test/bench/peers');
const vpncScript = '/usr/share/vpnc-scripts/vpnc-script';

/** What pppd tells its scripts. */
const call = ['ppp0', '/dev/pts/3', '115200', '10.99.0.2', '10.99.0.1', 'work'];
const told = {
  DEVICE: '/dev/pts/3',
  IFNAME: 'ppp0',
  SPEED: '115200',
  ORIG_UID: '0',
  PPPLOGNAME: 'root',
  PPPD_PID: '4711',
  IPLOCAL: '10.99.0.2',
  IPREMOTE: '10.99.0.1',
};

export interface Contender {
  name: string;
  machine: Machine;
  up(): Promise<number>;
  down(): Promise<number>;
  /** Does pppd set its link up before `up`, and takes it down before `down`? Else the link stays as it is. */
  hasPppd: boolean;
  /** Does it do the work? Then the table is looked at each time. */
  routes: boolean;
}

interface Turns {
  pairs: number[];
  ups: number[];
  downs: number[];
}

/** For the daemon to be done with the echo of its own changes; milliseconds. */
const pause = 25;

/** What pppd does to its interface right before it runs the scripts; not measured. */
const connect = 'ip address add 10.99.0.2 peer 10.99.0.1/32 dev ppp0; ip link set ppp0 up';
const disconnect = 'ip link set ppp0 down; ip address flush dev ppp0';

export interface PairOptions {
  rounds: number;
  /** Only the wiki's script beside ours. */
  short?: boolean;
}

export async function measurePair({ rounds, short = false }: PairOptions): Promise<Map<string, Turns>> {
  const contenders: Contender[] = [];
  try {
    contenders.push(await hooks(), await wiki());
    if (!short) {
      if (existsSync(vpncScript)) contenders.push(await vpnc());
      contenders.push(await hooksAlone(), await nothing());
    }
    const turns = new Map<string, Turns>(
      contenders.map(({ name }) => [name, { pairs: [], ups: [], downs: [] }]),
    );
    for (const { machine, hasPppd } of contenders) if (hasPppd) await machine.script(disconnect);
    // The first rounds warm up: files, the compiler, the neighbours' tables.
    for (let round = -3; round < rounds; round++) {
      for (const contender of contenders) {
        if (contender.hasPppd) await contender.machine.script(connect);
        const up = await contender.up();
        if (contender.routes) await check(contender, 'ppp0');
        await sleep(pause);
        if (contender.hasPppd) await contender.machine.script(disconnect);
        const down = await contender.down();
        if (contender.routes) await check(contender, 'eth0');
        await sleep(pause);
        const { pairs, ups, downs } = turns.get(contender.name) ?? { pairs: [], ups: [], downs: [] };
        if (round < 0) continue;
        pairs.push(up + down);
        ups.push(up);
        downs.push(down);
      }
    }
    return turns;
  } finally {
    await Promise.all(contenders.map(({ machine }) => machine.close()));
  }
}

export async function pair(rounds = 100): Promise<Result> {
  const turns = await measurePair({ rounds });
  const ours = turns.get('ppp-routed')?.pairs ?? [];
  const lines = [...turns].map(([name, { pairs, ups, downs }]) => [
    name,
    median(pairs).toFixed(2),
    middleHalf(pairs),
    quantile(pairs, 0.99).toFixed(2),
    median(ups).toFixed(2),
    median(downs).toFixed(2),
    (median(ours) / median(pairs)).toFixed(3),
    middleHalf(
      ours.map((own, i) => own / (pairs[i] ?? Number.NaN)),
      3,
    ),
  ]);
  const value = median(ours) / median(turns.get("the wiki's script")?.pairs ?? []);
  return {
    findings: [
      atMost(0.8, {
        what: "up + down, against the wiki's script",
        value,
        figure: `${value.toFixed(3)} x`,
        unit: ' x',
      }),
    ],
    tables: [
      {
        title: `Up and down, ${rounds} rounds in turn, milliseconds`,
        lines: [
          ['', 'median', 'middle half', 'p99', 'up', 'down', 'ratio of medians', 'middle half of the ratios'],
          ...lines,
        ],
      },
    ],
  };
}

export async function hooks(): Promise<Contender> {
  const machine = await Machine.open();
  await machine.startDaemon(replaceProfile);
  return { name: 'ppp-routed', machine, ...callHooks(machine), hasPppd: true, routes: true };
}

/** The hooks' own part: the daemon is one that answers at once and does nothing. */
async function hooksAlone(): Promise<Contender> {
  const machine = await Machine.open();
  const socket = join(machine.directory, 'run/hook.sock');
  const answerer = machine.start(['perl', join(peers, 'answerer.pl'), socket]);
  await new Promise(resolve => answerer.stdout.once('data', resolve));
  return { name: 'the hooks alone', machine, ...callHooks(machine), hasPppd: false, routes: false };
}

function callHooks(machine: Machine): Pick<Contender, 'up' | 'down'> {
  const environment = {
    ...told,
    RUNTIME_DIRECTORY: join(machine.directory, 'run'),
    PPP_ROUTED_PEERS_DIRECTORY: join(machine.directory, 'peers'),
  };
  return {
    up: () => timed(machine, [join(root, 'hooks/ip-up'), ...call], environment),
    down: () => timed(machine, [join(root, 'hooks/ip-down'), ...call], environment),
  };
}

export async function wiki(): Promise<Contender> {
  const machine = await Machine.open();
  return {
    name: "the wiki's script",
    machine,
    up: () => timed(machine, [join(peers, 'wiki-up'), ...call], told),
    down: () => timed(machine, [join(peers, 'wiki-down'), ...call], told),
    hasPppd: true,
    routes: true,
  };
}

/** As vpnc calls it. It gives the tunnel its address and takes it away too. */
async function vpnc(): Promise<Contender> {
  const machine = await Machine.open();
  await machine.run('ip', 'address', 'del', '10.99.0.2', 'peer', '10.99.0.1/32', 'dev', 'ppp0');
  const environment = {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    VPNGATEWAY: '203.0.113.5',
    TUNDEV: 'ppp0',
    INTERNAL_IP4_ADDRESS: '10.99.0.2',
  };
  return {
    name: 'vpnc-script',
    machine,
    up: () => timed(machine, [vpncScript], { ...environment, reason: 'connect' }),
    down: () => timed(machine, [vpncScript], { ...environment, reason: 'disconnect' }),
    hasPppd: false,
    routes: true,
  };
}

/** What two scripts cost that do nothing. */
async function nothing(): Promise<Contender> {
  const machine = await Machine.open();
  const run = () => timed(machine, ['/bin/sh', '-c', ':'], told);
  return { name: 'two empty scripts', machine, up: run, down: run, hasPppd: false, routes: false };
}

async function timed(
  machine: Machine,
  argv: readonly string[],
  environment: Record<string, string>,
): Promise<number> {
  const { milliseconds, said } = await machine.time(argv, environment);
  if (said !== '0') throw new Error(`${argv[0]}: exit status ${said}`);
  return milliseconds;
}

/** A script that fails is fast. */
async function check({ name, machine }: Contender, device: string): Promise<void> {
  const way = await machine.run('ip', 'route', 'get', '198.51.100.7');
  if (!way.includes(` dev ${device} `)) {
    throw new Error(`${name}: packets should leave by ${device}: ${way}\n${machine.log}`);
  }
}
