// What the daemon costs where nothing happens: until it is ready, in memory, and on the processor.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { median, summary, summaryHead } from '../figures.ts';
import { Machine, program, replaceProfile, unitEnvironment, unitFlags } from '../machine.ts';
import { childrenOf, cpuOf, idleAfter, memoryOf, wakeupsOf } from '../process.ts';
import { atMost, type Result } from '../row.ts';

export async function footprint({ rounds = 20, seconds = 60 } = {}): Promise<Result> {
  const machine = await Machine.open();
  try {
    await writeFile(join(machine.directory, 'etc/ppp-routed.toml'), replaceProfile);
    const ready: number[] = [];
    const cpu: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const { milliseconds, pid } = await startDaemon(machine);
      ready.push(milliseconds);
      cpu.push(cpuOf(pid));
      await machine.end(pid);
    }
    const { pid } = await startDaemon(machine);
    await sleep(idleAfter);
    const processes = [pid, ...childrenOf(pid)];
    const before = processes.map(cpuOf);
    const wakeupsBefore = wakeupsOf(pid);
    await sleep(seconds * 1000);
    const wakeups = (wakeupsOf(pid) - wakeupsBefore) / seconds;
    const used = processes.map((process, i) => cpuOf(process) - (before[i] ?? 0));
    const share = used.reduce((sum, time) => sum + time, 0) / (seconds * 10);
    const { resident } = memoryOf(pid);
    const ofProcess = async (process: number | string, i: number) => [
      i === 0 ? 'the daemon' : await nameOf(process),
      memoryOf(process).resident.toFixed(1),
      memoryOf(process).own.toFixed(1),
      `${(used[i] ?? 0).toFixed(2)} ms`,
    ];
    const readyMedian = median(ready);
    return {
      findings: [
        atMost(100, {
          what: 'ready after exec',
          value: readyMedian,
          figure: `${readyMedian.toFixed(0)} ms`,
          unit: ' ms',
        }),
        atMost(48, {
          what: 'resident, idle',
          value: resident,
          figure: `${resident.toFixed(1)} MB`,
          unit: ' MB',
        }),
        atMost(0.1, {
          what: 'times that the daemon wakes up a second, idle',
          value: wakeups,
          figure: wakeups.toFixed(2),
        }),
        atMost(0.1, {
          what: 'processor, idle, with its `ip` processes',
          value: share,
          figure: `${share.toFixed(3)} %`,
          unit: ' %',
        }),
      ],
      tables: [
        {
          title: `Start, ${rounds} times, milliseconds`,
          lines: [
            summaryHead,
            summary('from exec to ready', ready, 0),
            summary('of that on a processor', cpu, 0),
          ],
        },
        {
          title: `Idle for ${seconds} s, megabytes`,
          lines: [
            ['', 'resident', 'of that no file', 'processor'],
            ...(await Promise.all(processes.map(ofProcess))),
          ],
        },
      ],
    };
  } finally {
    await machine.close();
  }
}

/** What flags of node and settings of the C library change; for the decision which ones the unit gives. */
export async function flags({ rounds = 8, pairs = 20 } = {}): Promise<Result> {
  const flagSets = [
    [],
    ['--enable-source-maps'],
    ['--max-semi-space-size=1'],
    ['--optimize-for-size'],
    ['--max-semi-space-size=1', '--optimize-for-size'],
    ['--jitless', '--no-expose-wasm'],
    ['--jitless', '--no-expose-wasm', '--max-semi-space-size=1'],
  ].map(set => ({ name: set.join(' ') || 'none', set, environment: {} }));
  const ofUnit = { name: 'all that the unit gives', set: unitFlags, environment: unitEnvironment };
  const sets = [...flagSets, ofUnit].map(one => ({ ...one, tries: [] as Try[] }));
  const machine = await Machine.open();
  try {
    await writeFile(join(machine.directory, 'etc/ppp-routed.toml'), replaceProfile);
    for (let round = 0; round < rounds; round++) {
      for (const { set, environment, tries } of sets)
        tries.push(await tryFlags(machine, set, environment, pairs));
    }
    const middle = (tries: readonly Try[], key: keyof Try) => median(tries.map(one => one[key]));
    return {
      findings: [],
      tables: [
        {
          title: `Flags of node, ${rounds} starts of each in turn, medians`,
          lines: [
            [
              '',
              'ready, ms',
              'on a processor, ms',
              `resident after ${2 * pairs} events, MB`,
              'an event, ms',
              'on a processor, ms',
            ],
            ...sets.map(({ name, tries }) => [
              name,
              middle(tries, 'ready').toFixed(0),
              middle(tries, 'cpu').toFixed(0),
              middle(tries, 'resident').toFixed(1),
              middle(tries, 'event').toFixed(2),
              middle(tries, 'eventCpu').toFixed(2),
            ]),
          ],
        },
      ],
    };
  } finally {
    await machine.close();
  }
}

interface Try {
  ready: number;
  cpu: number;
  resident: number;
  event: number;
  eventCpu: number;
}

async function tryFlags(
  machine: Machine,
  set: readonly string[],
  environment: Readonly<Record<string, string>>,
  pairs: number,
): Promise<Try> {
  const { milliseconds, pid } = await startDaemon(machine, set, environment);
  const cpu = cpuOf(pid);
  const times: number[] = [];
  const events = [await machine.event('ip-up'), await machine.event('ip-down')];
  for (let pair = 0; pair < pairs; pair++) {
    for (const text of events) {
      times.push((await machine.ask('run/hook.sock', text)).milliseconds);
      await sleep(20);
    }
  }
  const eventCpu = (cpuOf(pid) - cpu) / times.length;
  const { resident } = memoryOf(pid);
  await machine.end(pid);
  return { ready: milliseconds, cpu, resident, event: median(times), eventCpu };
}

async function startDaemon(machine: Machine, node = unitFlags, environment = unitEnvironment) {
  const argv = [process.execPath, ...node, program];
  const { milliseconds, said } = await machine.timeStart(argv, { ...environment, ...machine.directories });
  return { milliseconds, pid: said };
}

/** `ip -4`, `ip monitor`. */
async function nameOf(pid: number | string): Promise<string> {
  const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
  return words.includes('monitor') ? 'ip monitor' : words.slice(0, 2).join(' ');
}
