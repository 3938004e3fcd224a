// What the kernel says of a process: proc(5).
import { readdirSync, readFileSync } from 'node:fs';

/** Megabytes that it has in memory; `own` are those that are no file's, such as the program's code. */
export function memoryOf(pid: number | string): { resident: number; own: number } {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  const megabytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) / 1024;
  return { resident: megabytes('VmRSS'), own: megabytes('RssAnon') };
}

/** Milliseconds that all of its threads have had on a processor. */
export function cpuOf(pid: number | string): number {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const nanoseconds = tasks.map(task =>
    Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]),
  );
  return nanoseconds.reduce((sum, time) => sum + time, 0) / 1e6;
}

/** The processes that it has started and that are still there. */
export function childrenOf(pid: number | string): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap(task =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
}
