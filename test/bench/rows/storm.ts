// A thousand links up at once, and down at once: real hooks, all started before the first is answered. Every link has a
// server of its own, so that each can be seen to be right by its pin.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Machine, root } from '../machine.ts';
import { memoryOf } from '../process.ts';
import type { Result } from '../row.ts';

const profiles = `
[link.work]
default-route = "replace"
server = "auto"
`;

/** For what was spooled, because a hook waits for two seconds at most; milliseconds. */
const patience = 60_000;

export async function storm(count = 1000): Promise<Result> {
  const machine = await openMachine(count);
  try {
    const before = await tableOf(machine);
    const calm = memoryOf(machine.daemon.pid ?? 0).resident;
    const up = await callAll(
      machine,
      'ip-up',
      count,
      async () => (await problemsWhenUp(machine, count)).length === 0,
    );
    const wrongUp = await problemsWhenUp(machine, count);
    const down = await callAll(machine, 'ip-down', count, async () => (await tableOf(machine)) === before);
    const wrongDown = (await tableOf(machine)) === before ? [] : ['the table is not what it was'];
    const { peak } = memoryOf(machine.daemon.pid ?? 0);
    const wrong = [...wrongUp, ...wrongDown];
    const seconds = (milliseconds: number) => (milliseconds / 1000).toFixed(2);
    return {
      findings: [
        {
          what: `${count.toLocaleString('en')} links up and down at once`,
          figure: wrong.length === 0 ? 'every one right' : wrong.slice(0, 3).join('; '),
          target: 'nothing lost, every one right',
          met: wrong.length === 0,
        },
      ],
      tables: [
        {
          title: `${count.toLocaleString('en')} hooks at once, seconds`,
          lines: [
            ['', 'all hooks have ended', 'every link right', 'through the spool'],
            ['up', seconds(up.ended), seconds(up.right), String(up.spooled)],
            ['down', seconds(down.ended), seconds(down.right), String(down.spooled)],
          ],
        },
        {
          title: 'The daemon, megabytes',
          lines: [
            ['before', 'at the most'],
            [calm.toFixed(1), peak.toFixed(1)],
          ],
        },
      ],
    };
  } finally {
    await machine.close();
  }
}

async function openMachine(count: number): Promise<Machine> {
  const machine = await Machine.open();
  const names = namesOf(count);
  await machine.batch([
    ...names.flatMap((name, i) => (i % 2 === 0 ? [`link add ${name} type veth peer name ppp${i + 2}`] : [])),
    ...names.flatMap((name, i) => [
      `address add 10.99.0.2 peer 10.100.${i >> 8}.${i & 255}/32 dev ${name}`,
      `link set ${name} up`,
    ]),
  ]);
  mkdirSync(join(machine.directory, 'peers'), { recursive: true });
  for (const [i, name] of names.entries()) {
    writeFileSync(join(machine.directory, 'peers', name), `plugin pptp.so\npptp_server ${serverOf(i)}\n`);
  }
  await machine.startDaemon(profiles);
  return machine;
}

/** One shell starts them, as many pppds would: none waits for another. */
async function callAll(
  machine: Machine,
  event: 'ip-up' | 'ip-down',
  count: number,
  isRight: () => Promise<boolean>,
) {
  const script = [
    'i=0',
    `while [ $i -lt ${count} ]; do i=$((i + 1))`,
    `CALL_FILE=ppp$i ${join(root, 'hooks', event)} ppp$i /dev/pts/3 115200 10.99.0.2 10.100.0.1 work & done`,
    'wait',
  ].join('; ');
  const environment = {
    RUNTIME_DIRECTORY: join(machine.directory, 'run'),
    PPP_ROUTED_PEERS_DIRECTORY: join(machine.directory, 'peers'),
    PPPD_PID: '4711',
  };
  const spool = join(machine.directory, 'run/spool');
  const seen = new Set<string>();
  const look = () => {
    const waiting = readdirSync(spool).filter(name => /^\d{10}$/.test(name));
    for (const name of waiting) seen.add(name);
    return waiting.length;
  };
  const looks = setInterval(look, 20);
  try {
    const started = performance.now();
    const { said } = await machine.time(['/bin/sh', '-c', script], environment);
    const ended = performance.now() - started;
    if (said !== '0') throw new Error(`the hooks' shell ended with ${said}`);
    while ((look() > 0 || !(await isRight())) && performance.now() - started < patience) await sleep(50);
    return { ended, right: performance.now() - started, spooled: seen.size };
  } finally {
    clearInterval(looks);
  }
}

async function problemsWhenUp(machine: Machine, count: number): Promise<string[]> {
  const { links, troubles } = await machine.status();
  const routes = (await machine.run('ip', 'route')).split('\n').map(line => line.trim());
  const pinned = new Set(
    routes.flatMap(line => (/ via 192\.168\.1\.1 dev eth0 /.exec(line) ? [line.split(' ')[0]] : [])),
  );
  const unpinned = namesOf(count).filter((_, i) => !pinned.has(serverOf(i)));
  const defaults = routes.filter(line => line.startsWith('default'));
  return [
    ...troubles,
    ...(links.length === count ? [] : [`${links.length} of ${count} links are known`]),
    ...(unpinned.length === 0 ? [] : [`${unpinned.length} servers without a pin`]),
    ...(defaults.length === 1 && / dev ppp\d+ /.test(`${defaults[0]} `)
      ? []
      : [`defaults: ${defaults.join(', ')}`]),
  ];
}

function tableOf(machine: Machine): Promise<string> {
  return machine.script('ip route show table all; ip -6 route show table all; ip rule');
}

function namesOf(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `ppp${i + 1}`);
}

function serverOf(i: number): string {
  return `203.0.${100 + (i >> 8)}.${i & 255}`;
}
