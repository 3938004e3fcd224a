import type { Family } from '../core/route/prefix.ts';
import { type Ending, type Subprocess, splitLines, startSubprocess } from './subprocess.ts';

/*
 * INVARIANTS
 * 1. One request at a time. What a process prints after its request was given up is taken for no other's answer.
 * 2. A process that ended, did not answer in time, or knows an interface by an earlier name is never asked again.
 */

/** `ip` could not be asked: it is missing, hangs, or is not allowed to. */
export class IpError extends Error {
  override readonly name = 'IpError';
}

export interface IpOptions {
  family: Family;
  /** How long one request may take, in milliseconds. */
  deadline: number;
  environment: NodeJS.ProcessEnv;
  /** A request that was made at `since` (of performance.now()) was not answered in time; its process has been ended. */
  onHung?(since: number): void;
}

/** What a process is asked at once, and what it answers. */
export interface Request {
  readonly text: string;
  readonly isComplete: boolean;
  /** The commands that have no answer yet, in words. */
  readonly unanswered: string;
  takeOutput(line: string): void;
  takeError(line: string): void;
}

/** A long-lived `ip -batch -` (ip(8)). Through stdbuf, because ip buffers its output into a pipe. */
export class IpProcess {
  readonly #options: IpOptions;
  readonly #flags: readonly string[];
  #process: Subprocess | undefined;
  #startedAt = 0;
  #lineCount = 0;
  #isOld = false;
  #starting: NodeJS.Timeout | undefined;
  #current: { request: Request; settle(ending?: Ending): void } | undefined;

  constructor(options: IpOptions, flags: readonly string[]) {
    this.#options = options;
    this.#flags = flags;
  }

  /** Is one running that may be asked? */
  get isReady(): boolean {
    return this.#process !== undefined && !this.#isOld;
  }

  /** How many lines the running one has been given. */
  get lineCount(): number {
    return this.#lineCount;
  }

  /**
   * Asks the running process, or else another.
   * @returns how it ended, if it did so before the request was complete.
   * @throws IpError where it does not answer in time.
   */
  ask(request: Request): Promise<Ending | undefined> {
    const { deadline, onHung } = this.#options;
    const process = this.#start();
    const since = performance.now();
    this.#lineCount += request.text.split('\n').length - 1;
    return new Promise((resolve, reject) => {
      const finish = () => {
        clearTimeout(timer);
        this.#current = undefined;
        if (this.#isOld) this.startSoon();
      };
      const timer = setTimeout(() => {
        finish();
        this.#end();
        onHung?.(since);
        reject(new IpError(`ip did not answer within ${deadline} ms: ${request.unanswered}`));
      }, deadline);
      const settle = (ending?: Ending) => {
        finish();
        resolve(ending);
      };
      this.#current = { request, settle };
      process.stdin.write(request.text);
    });
  }

  /** Starts a process for the next request; of many calls in a row the first does it. */
  startSoon(): void {
    this.#starting ??= setTimeout(() => {
      this.#starting = undefined;
      if (this.#current === undefined) this.#start();
    }, startAfter).unref();
  }

  /** The process knows an interface by another name or index: after the request under way another one is asked. */
  renew(): void {
    if (this.#process === undefined) return;
    this.#isOld = true;
    this.startSoon();
  }

  /** Ends the process if it was there at that time (of performance.now()): what made another hang may have made it hang. */
  distrust(since: number): void {
    if (this.#startedAt <= since) this.#end();
  }

  /** Ends the process. */
  close(): void {
    clearTimeout(this.#starting);
    this.#end();
  }

  #start(): Subprocess {
    if (this.#isOld) this.#end();
    if (this.#process !== undefined) return this.#process;
    const { family, environment } = this.#options;
    const flags = [family === 'inet' ? '-4' : '-6', '-o', ...this.#flags];
    const process = startSubprocess(['stdbuf', '-oL', 'ip', ...flags, '-batch', '-'], environment);
    this.#process = process;
    this.#startedAt = performance.now();
    this.#lineCount = 0;
    process.stdin.on('error', () => undefined);
    splitLines(process.stdout, line => this.#take(process, request => request.takeOutput(line)));
    splitLines(process.stderr, line => this.#take(process, request => request.takeError(line)));
    void process.ended.then(ending => {
      if (process !== this.#process) return;
      this.#process = undefined;
      this.#current?.settle(ending);
    });
    return process;
  }

  #take(process: Subprocess, give: (request: Request) => void): void {
    if (process !== this.#process || this.#current === undefined) return;
    const { request, settle } = this.#current;
    give(request);
    if (request.isComplete) settle();
  }

  #end(): void {
    this.#isOld = false;
    // It has nothing to tidy up, and one that is stopped would stay for ever.
    this.#process?.kill('SIGKILL');
    this.#process = undefined;
  }
}

/** Milliseconds; pppd takes longer from the interface to its hook. */
const startAfter = 20;
