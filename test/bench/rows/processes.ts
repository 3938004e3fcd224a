// What an event starts: counted by strace(1) over the hook and over the daemon.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Machine, replaceProfile, root } from '../machine.ts';
import type { Result } from '../row.ts';

export async function processes(rounds = 10): Promise<Result> {
  const machine = await Machine.open();
  try {
    await machine.startDaemon(replaceProfile);
    const call = (event: string) => ['ppp0', '/dev/pts/3', '115200', '10.99.0.2', '10.99.0.1', 'work', event];
    const environment = { RUNTIME_DIRECTORY: join(machine.directory, 'run'), PPPD_PID: '4711' };
    const hook = (event: string) => [join(root, 'hooks', event), ...call(event).slice(0, 6)];
    // Once without counting: what is started at the first event only is not the event's.
    for (const event of ['ip-up', 'ip-down']) await machine.time(hook(event), environment);

    const ofDaemon = join(machine.directory, 'daemon.strace');
    const strace = machine.start([
      ...['strace', '-f', '-qq', '-e', 'trace=process', '-o', ofDaemon, '-p', String(machine.daemon.pid)],
    ]);
    await sleep(500);
    for (let round = 0; round < rounds; round++) {
      for (const event of ['ip-up', 'ip-down']) await machine.time(hook(event), environment);
    }
    await sleep(100);
    strace.kill('SIGINT');
    await strace;

    const ofHook = join(machine.directory, 'hook.strace');
    const lines = [['', 'processes', 'programs']];
    for (const event of ['ip-up', 'ip-down']) {
      const traced = ['/usr/bin/strace', '-f', '-qq', '-e', 'trace=process', '-o', ofHook, ...hook(event)];
      await machine.time(traced, environment);
      lines.push([`the hook, ${event}`, ...countsIn(await readFile(ofHook, 'utf8'), 1)]);
    }
    const [started, programs] = countsIn(await readFile(ofDaemon, 'utf8'), 0);
    lines.push([`the daemon, in ${2 * rounds} events`, started, programs]);
    return {
      findings: [
        {
          what: `processes that the daemon starts, in ${2 * rounds} events`,
          figure: started,
          target: '0',
          met: started === '0',
        },
      ],
      tables: [{ title: 'Processes started', lines }],
    };
  } finally {
    await machine.close();
  }
}

/** New processes, threads left out, and programs that were executed. `first`: the one that strace itself has started. */
function countsIn(trace: string, first: 0 | 1): [string, string] {
  const begun = trace
    .split('\n')
    .filter(line => /\b(clone3?|v?fork)\(/.test(line) && !line.includes('CLONE_THREAD'));
  const programs = trace.split('\n').filter(line => /\bexecve(at)?\(.* = 0$/.test(line));
  return [String(begun.length + first), String(programs.length)];
}
