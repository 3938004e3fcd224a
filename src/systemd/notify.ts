import { type ChildProcess, spawn } from 'node:child_process';
import { writeSync } from 'node:fs';

/** Tells the service manager: READY=1, STATUS=…, RELOADING=1, STOPPING=1 (sd_notify(3)). */
export type Notify = (...assignments: string[]) => void;

/**
 * Node has no datagram sockets for Unix. Where the start wrapper left a connected one behind, a message is one write;
 * else `systemd-notify` sends it, which needs NotifyAccess=all. Without a service manager nothing happens. Never throws.
 */
export function createNotify(environment: NodeJS.ProcessEnv): Notify {
  const descriptor = Number(environment.PPP_ROUTED_NOTIFY_FD ?? Number.NaN);
  if (Number.isInteger(descriptor)) return new Letters(message => write(descriptor, message)).send;
  if (!environment.NOTIFY_SOCKET) return () => undefined;
  return new Letters(message => sendBy(environment, message)).send;
}

/** `later`: it was not sent, and may well be when some time has passed. */
type Outcome = 'done' | 'later';

/** Messages for a manager that may not keep up: it must not hold routes up, and what it reads in the end is true. */
class Letters {
  readonly #post: (message: Buffer) => Outcome | Promise<Outcome>;
  /** The last of each kind, in their order. */
  readonly #waiting = new Map<string, Buffer>();
  #isBusy = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(post: (message: Buffer) => Outcome | Promise<Outcome>) {
    this.#post = post;
  }

  readonly send: Notify = (...assignments) => {
    const kind = assignments.map(text => text.split('=', 1)).join();
    this.#waiting.delete(kind);
    this.#waiting.set(kind, clip(assignments.join('\n')));
    if (!this.#isBusy) void this.#sendAll();
  };

  /** One after the other; what is sent at once is sent when this returns. */
  async #sendAll(): Promise<void> {
    clearTimeout(this.#timer);
    this.#isBusy = true;
    for (const [kind, message] of this.#waiting) {
      const posted = this.#post(message);
      const outcome = typeof posted === 'string' ? posted : await posted;
      if (outcome === 'later') {
        this.#timer = setTimeout(() => void this.#sendAll(), againAfter).unref();
        break;
      }
      // Meanwhile there may be another of its kind.
      if (this.#waiting.get(kind) === message) this.#waiting.delete(kind);
    }
    this.#isBusy = false;
  }
}

function write(descriptor: number, message: Buffer): Outcome {
  try {
    writeSync(descriptor, message);
  } catch (error) {
    if (codeOf(error) === 'EAGAIN') return 'later';
    // The manager is being restarted; the next message finds it.
  }
  return 'done';
}

/**
 * Not by execa: where no descriptor is left, the error of its spawn() is nobody's to catch. One that waits for a manager that
 * does not read is ended, so that it hears the last word and not the first.
 */
function sendBy(environment: NodeJS.ProcessEnv, message: Buffer): Promise<Outcome> {
  return new Promise(resolve => {
    const words = ['--', ...message.toString().split('\n')];
    let child: ChildProcess | undefined;
    // One that could not be started has no pid, and kill(2) would take that for the whole of our process group.
    const timer = setTimeout(() => child?.pid !== undefined && child.kill('SIGKILL'), patience);
    const end = (outcome: Outcome) => {
      clearTimeout(timer);
      resolve(outcome);
    };
    const fail = (error: unknown) => end(passing.has(codeOf(error)) ? 'later' : 'done');
    try {
      child = spawn('systemd-notify', words, { stdio: 'ignore', env: environment });
      child.on('error', fail);
      child.on('exit', (_, signal) => end(signal === null ? 'done' : 'later'));
    } catch (error) {
      // Some of what stops fork(2) is thrown, and some told by and by.
      fail(error);
    }
  });
}

/** What keeps a process from being started, and passes. */
const passing = new Set<unknown>(['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM']);

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

/** How long `systemd-notify` may take; milliseconds. By itself it waits for the manager for 5 s (sd_notify_barrier(3)). */
const patience = 6000;

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
