// What the kernel says of a process: proc(5).
import { readdirSync, readFileSync } from 'node:fs';

/** V8 tidies the heap up some seconds after the last work; milliseconds. */
export const idleAfter = 15_000;

/** Megabytes in memory: now, at the most so far, and those of now that are no file's (the program's code is one). */
export function memoryOf(pid: number | string): { resident: number; peak: number; own: number } {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  const megabytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) / 1024;
  return { resident: megabytes('VmRSS'), peak: megabytes('VmHWM'), own: megabytes('RssAnon') };
}

/** Milliseconds that all of its threads have had on a processor. */
export function cpuOf(pid: number | string): number {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const nanoseconds = tasks.map(task =>
    Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]),
  );
  return nanoseconds.reduce((sum, time) => sum + time, 0) / 1e6;
}

/**
 * How often any of its threads has gone to sleep, and so has been woken. Where nothing happens that is its timers; anything
 * else that wakes it is counted too.
 */
export function wakeupsOf(pid: number | string): number {
  const counts = readdirSync(`/proc/${pid}/task`).map(task => {
    const text = readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8');
    return Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(text)?.[1]);
  });
  return counts.reduce((sum, count) => sum + count, 0);
}

/** The processes that it has started and that are still there. */
export function childrenOf(pid: number | string): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap(task =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
}
