import type { Notify } from './notify.ts';

/** How much more time is asked for, how often, and when it is given up, in milliseconds. */
const more = 10_000;
const often = 2000;
const most = 120_000;

/**
 * Asks systemd for more time while a start takes longer than TimeoutStartSec= (EXTEND_TIMEOUT_USEC of sd_notify(3)): there
 * may be thousands of events in the spool. Not for ever.
 * @returns what ends it.
 */
export function askForTime(notify: Notify): () => void {
  const ask = () => notify(`EXTEND_TIMEOUT_USEC=${more * 1000}`);
  ask();
  const asking = setInterval(ask, often);
  const end = () => clearInterval(asking);
  setTimeout(end, most).unref();
  return end;
}
