// A process that can open nothing any more, for a while.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Takes all descriptors that are not open yet from this process, and gives them back at the second call. */
export function descriptors(): () => Promise<void> {
  // Another process does it: this one could start none any more.
  const limits = spawn('/bin/sh', [
    '-c',
    `for most in 3 "$(ulimit -Sn)"; do read -r _; prlimit --pid ${process.pid} --nofile=$most: && echo done; done`,
  ]);
  return async () => {
    limits.stdin.write('\n');
    await once(limits.stdout, 'data');
  };
}
