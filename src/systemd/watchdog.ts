import type { Notify } from './notify.ts';

/** How long systemd waits for a sign of life before it kills us, in milliseconds; undefined: for ever. sd_watchdog_enabled(3). */
export function watchdogTime(environment: NodeJS.ProcessEnv, pid: number): number | undefined {
  const microseconds = Number(environment.WATCHDOG_USEC);
  const isOurs = environment.WATCHDOG_PID === undefined || Number(environment.WATCHDOG_PID) === pid;
  return isOurs && microseconds > 0 ? microseconds / 1000 : undefined;
}

/** Gives the sign of life twice in that time, after a look at the kernel: a timer alone would prove nothing. */
export function keepWatchdogFed(
  time: number | undefined,
  { notify, look }: { notify: Notify; look: () => Promise<unknown> },
): void {
  if (time === undefined) return;
  const feed = async () => {
    await look();
    notify('WATCHDOG=1');
  };
  void feed();
  setInterval(() => void feed(), time / 2).unref();
}
