import { isMark, mark, reminderFor } from './exchange.ts';
import { type IpBatchOptions, IpError, isPlain } from './ip-batch.ts';
import { type Subprocess, splitLines, startSubprocess } from './subprocess.ts';

/*
 * INVARIANTS
 * 1. ip without -force ends at the first command that fails and carries out none behind it: what the mark on its standard
 *    output follows has been carried out, all of it.
 * 2. There is no mark on standard error: what ip complains of ends it.
 * 3. A process that ended, or did not answer in time, is never asked again. Another is started some time after a request
 *    that needed it, so that the next finds it running and none waits for it.
 */

/** How far commands were carried out. */
export interface Progress {
  /** So many from the first on were carried out for certain. */
  done: number;
  /** Why the next was refused; then none behind it was carried out. undefined: that is not known. */
  error?: string;
}

interface Request {
  commands: readonly string[];
  /** The line of each, by the number that ip gives it in a complaint. */
  lines: readonly number[];
  settle(progress: Progress): void;
}

/** A long-lived `ip -batch -` that ends at the first error: one exchange for commands that need each other. */
export class StrictBatch {
  readonly #options: IpBatchOptions;
  #process: Subprocess | undefined;
  #startedAt = 0;
  /** How many lines the process has been given. */
  #lineCount = 0;
  #complaints: string[] = [];
  #current: Request | undefined;
  #isOld = false;
  #starting: NodeJS.Timeout | undefined;

  constructor(options: IpBatchOptions) {
    this.#options = options;
  }

  /**
   * Carries out commands in their order until one is refused. Not more than one request at a time.
   * @throws IpError where ip does not answer in time.
   */
  async run(commands: readonly string[]): Promise<Progress> {
    if (commands.length === 0) return { done: 0 };
    const process = this.#isOld ? undefined : this.#process;
    const progress =
      process === undefined || !commands.every(isPlain)
        ? { done: 0 }
        : await this.#exchange(process, commands);
    if (this.#isOld || this.#process === undefined) this.startSoon();
    return progress;
  }

  /** Starts the process; of many calls in a row the first does it. */
  startSoon(): void {
    this.#starting ??= setTimeout(() => {
      this.#starting = undefined;
      if (this.#isOld && this.#current === undefined) this.#end();
      if (this.#process === undefined) this.#start();
    }, startAfter).unref();
  }

  /** The process knows an interface by another name or index, and must be asked no more. */
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

  #end(): void {
    this.#isOld = false;
    this.#process?.kill('SIGKILL');
    this.#process = undefined;
  }

  #start(): void {
    const { family, environment } = this.#options;
    const flag = family === 'inet' ? '-4' : '-6';
    const process = startSubprocess(['stdbuf', '-oL', 'ip', flag, '-o', '-batch', '-'], environment);
    this.#process = process;
    this.#startedAt = performance.now();
    this.#lineCount = 0;
    process.stdin.on('error', () => undefined);
    splitLines(process.stdout, line => {
      if (process === this.#process && isMark(line))
        this.#current?.settle({ done: this.#current.commands.length });
    });
    splitLines(process.stderr, line => {
      if (process !== this.#process) return;
      const number = /^Command failed -:(\d+)$/.exec(line)?.[1];
      if (number === undefined) this.#complaints.push(line);
      else this.#fail(Number(number));
    });
    void process.ended.then(() => {
      if (process !== this.#process) return;
      this.#process = undefined;
      this.#current?.settle({ done: 0 });
    });
  }

  /** ip ended at the command in that line, and its complaints are about it. */
  #fail(number: number): void {
    this.#end();
    if (this.#current === undefined) return;
    const { commands, lines, settle } = this.#current;
    const done = lines.findIndex(line => line >= number);
    if (done < 0) settle({ done: commands.length });
    // Else it was the reminder in front of it.
    else settle(lines[done] === number ? { done, error: this.#complaints.join('; ') } : { done });
  }

  #exchange(process: Subprocess, commands: readonly string[]): Promise<Progress> {
    const since = performance.now();
    this.#complaints = [];
    const texts = commands.map(command => `${reminderFor(command)}${command}\n`);
    const lines = texts.map(text => {
      this.#lineCount += text.split('\n').length - 1;
      return this.#lineCount;
    });
    this.#lineCount++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#current = undefined;
        this.#end();
        this.#options.onHung?.(since);
        const more = commands.length > 1 ? ` and ${commands.length - 1} more` : '';
        reject(new IpError(`ip did not answer within ${this.#options.deadline} ms: ${commands[0]}${more}`));
      }, this.#options.deadline);
      const settle = (progress: Progress) => {
        clearTimeout(timer);
        this.#current = undefined;
        resolve(progress);
      };
      this.#current = { commands, lines, settle };
      process.stdin.write(`${texts.join('')}${mark.command}\n`);
    });
  }
}

/** Milliseconds; pppd takes longer from the interface to its hook. */
const startAfter = 20;
