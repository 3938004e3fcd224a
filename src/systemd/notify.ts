import { writeSync } from 'node:fs';
import { execa } from 'execa';

/** Tells the service manager: READY=1, STATUS=…, RELOADING=1, STOPPING=1 (sd_notify(3)). */
export type Notify = (...assignments: string[]) => void;

/**
 * Node has no datagram sockets for Unix. Where the start wrapper left a connected one behind, a message is one write;
 * else `systemd-notify` sends it, which needs NotifyAccess=all. Without a service manager nothing happens.
 */
export function createNotify(environment: NodeJS.ProcessEnv): Notify {
  const descriptor = Number(environment.PPP_ROUTED_NOTIFY_FD ?? Number.NaN);
  if (Number.isInteger(descriptor)) {
    return (...assignments) => {
      try {
        writeSync(descriptor, assignments.join('\n'));
      } catch {
        // The manager is being restarted; the next message finds it.
      }
    };
  }
  if (environment.NOTIFY_SOCKET === undefined) return () => undefined;
  let turn: Promise<unknown> = Promise.resolve();
  return (...assignments) => {
    turn = turn.then(() =>
      execa('systemd-notify', ['--', ...assignments], { reject: false, stdio: 'ignore' }),
    );
  };
}
