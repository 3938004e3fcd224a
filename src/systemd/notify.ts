import { writeSync } from 'node:fs';

/** Tells the service manager: READY=1, STATUS=…, RELOADING=1, STOPPING=1 (sd_notify(3)). */
export type Notify = (...assignments: string[]) => void;

/**
 * Node has no datagram sockets for Unix. Where the start wrapper left a connected one behind, a message is one write;
 * else `systemd-notify` sends it, which needs NotifyAccess=all. Without a service manager nothing happens.
 */
export function createNotify(environment: NodeJS.ProcessEnv): Notify {
  const descriptor = Number(environment.PPP_ROUTED_NOTIFY_FD ?? Number.NaN);
  if (Number.isInteger(descriptor)) return new Letters(descriptor).send;
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

/** Messages for a manager that may not keep up: it must not hold routes up, and what it reads in the end is true. */
class Letters {
  readonly #descriptor: number;
  /** The last of each kind, in their order. */
  readonly #waiting = new Map<string, Buffer>();
  #timer: NodeJS.Timeout | undefined;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  readonly send: Notify = (...assignments) => {
    const kind = assignments.map(text => text.split('=', 1)).join();
    this.#waiting.delete(kind);
    this.#waiting.set(kind, clip(assignments.join('\n')));
    this.#write();
  };

  #write(): void {
    clearTimeout(this.#timer);
    for (const [kind, message] of this.#waiting) {
      try {
        writeSync(this.#descriptor, message);
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') {
          this.#timer = setTimeout(() => this.#write(), againAfter).unref();
          return;
        }
        // The manager is being restarted; the next message finds it.
      }
      this.#waiting.delete(kind);
    }
  }
}

/** Milliseconds. */
const againAfter = 100;

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
