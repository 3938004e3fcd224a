// Time that something took, on a machine that may have other work.
import { readFileSync } from 'node:fs';

/**
 * Starts when it is made. Time in which the daemon could have run, but another process had the processor, is not counted:
 * that says nothing of the daemon. All else is: what its `ip` waits for, and what the test itself does. On a machine with
 * nothing else to do it is the time of the clock.
 */
export class Stopwatch {
  readonly #started = performance.now();
  readonly #waited: number;

  /** `pid`: the process that is to be waited for, if it runs already. */
  constructor(pid?: number) {
    this.#waited = waitedFor(pid);
  }

  /** Milliseconds until now. */
  read(pid: number | undefined): number {
    return performance.now() - this.#started - (waitedFor(pid) - this.#waited);
  }
}

/** How long a process has waited for a processor: /proc/PID/schedstat, in the kernel's sched-stats.rst; milliseconds. */
function waitedFor(pid: number | undefined): number {
  if (pid === undefined) return 0;
  try {
    const [, waited] = readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ');
    return Number(waited) / 1e6;
  } catch {
    return 0;
  }
}
