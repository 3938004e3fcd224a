// What the daemon costs where nothing happens: until it is ready, in memory, and on the processor.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { median, summary, summaryHead } from '../figures.ts';
import { Machine, program, replaceProfile } from '../machine.ts';
import { childrenOf, cpuOf, memoryOf } from '../process.ts';
import { atMost, type Result } from '../row.ts';

/** V8 tidies the heap up some seconds after a start; milliseconds. */
const settling = 15_000;

export async function footprint({ rounds = 20, seconds = 30 } = {}): Promise<Result> {
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
    await sleep(settling);
    const processes = [pid, ...childrenOf(pid)];
    const before = processes.map(cpuOf);
    await sleep(seconds * 1000);
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
        atMost(150, {
          what: 'ready after exec',
          value: readyMedian,
          figure: `${readyMedian.toFixed(0)} ms`,
          unit: ' ms',
        }),
        atMost(60, {
          what: 'resident, idle',
          value: resident,
          figure: `${resident.toFixed(1)} MB`,
          unit: ' MB',
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

/** What flags of node change; for the decision which ones the unit gives. */
export async function flags({ rounds = 8 } = {}): Promise<Result> {
  const sets = [
    [],
    ['--enable-source-maps'],
    ['--max-semi-space-size=1'],
    ['--optimize-for-size'],
    ['--jitless', '--no-expose-wasm'],
    ['--jitless', '--no-expose-wasm', '--max-semi-space-size=1'],
  ].map(set => ({
    set,
    ready: [] as number[],
    cpu: [] as number[],
    memory: [] as number[],
    event: [] as number[],
  }));
  const machine = await Machine.open();
  try {
    await writeFile(join(machine.directory, 'etc/ppp-routed.toml'), replaceProfile);
    for (let round = 0; round < rounds; round++) {
      for (const { set, ready, cpu, memory, event } of sets) {
        const { milliseconds, pid } = await startDaemon(machine, set);
        ready.push(milliseconds);
        cpu.push(cpuOf(pid));
        const events = [await machine.event('ip-up'), await machine.event('ip-down')];
        for (let pair = 0; pair < 20; pair++) {
          for (const text of events) {
            event.push((await machine.ask('run/hook.sock', text)).milliseconds);
            await sleep(15);
          }
        }
        await sleep(500);
        memory.push(memoryOf(pid).resident);
        await machine.end(pid);
      }
    }
    return {
      findings: [],
      tables: [
        {
          title: `Flags of node, ${rounds} starts of each in turn, medians`,
          lines: [
            ['', 'ready, ms', 'on a processor, ms', 'resident after 40 events, MB', 'an event, ms'],
            ...sets.map(({ set, ready, cpu, memory, event }) => [
              set.join(' ') || 'none',
              median(ready).toFixed(0),
              median(cpu).toFixed(0),
              median(memory).toFixed(1),
              median(event).toFixed(2),
            ]),
          ],
        },
      ],
    };
  } finally {
    await machine.close();
  }
}

async function startDaemon(machine: Machine, node: readonly string[] = []) {
  const argv = [process.execPath, ...node, program];
  const { milliseconds, said } = await machine.timeStart(argv, machine.directories);
  return { milliseconds, pid: said };
}

/** `ip -4`, `ip monitor`. */
async function nameOf(pid: number | string): Promise<string> {
  const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
  return words.includes('monitor') ? 'ip monitor' : words.slice(0, 2).join(' ');
}
