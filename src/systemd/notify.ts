import { writeSync } from 'node:fs';

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
        writeSync(descriptor, clip(assignments.join('\n')));
      } catch {
        // The manager is being restarted; the next message finds it.
      }
    };
  }
  if (environment.NOTIFY_SOCKET === undefined) return () => undefined;
  let turn: Promise<unknown> = Promise.resolve();
  return (...assignments) => {
    turn = turn.then(async () => {
      // Big, and rarely needed.
      const { execa } = await import('execa');
      const message = assignments.map(text => `${clip(text)}`);
      await execa('systemd-notify', ['--', ...message], { reject: false, stdio: 'ignore' });
    });
  };
}

/** Bytes of one message that systemd reads; one that is longer it ignores (NOTIFY_BUFFER_MAX). */
const mostBytes = 4096;

/** STATUS= comes last: of a thousand links it tells as many as there is room for. */
function clip(message: string): Buffer {
  const whole = Buffer.from(message);
  if (whole.length < mostBytes) return whole;
  const end = Buffer.from('… (ppp-routectl status has the rest)');
  let cut = mostBytes - 1 - end.length;
  // Not within a character: what follows may not be one of its later bytes.
  while (((whole[cut] ?? 0) & 0xc0) === 0x80) cut--;
  return Buffer.concat([whole.subarray(0, cut), end]);
}
