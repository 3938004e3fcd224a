import { type Answer, type Ending, Exchange, type Kind } from './exchange.ts';
import { type Subprocess, splitLines, startSubprocess } from './subprocess.ts';

/*
 * INVARIANTS
 * 1. One request at a time: a request's commands are written only when the one before has been answered or given up.
 * 2. Every question is followed by two marks, one for each of ip's outputs; a change, which prints nothing but complaints,
 *    by one. It is answered when its marks have come back; nothing that ip prints for it can be taken for another's.
 * 3. Only what ip reads as the words that stand there is handed to it: a command cannot become two, or another.
 * 4. A process that ended or did not answer in time is never asked again; the next command starts a new one.
 */

/** `ip` could not be asked: it is missing, hangs, or is not allowed to. */
export class IpError extends Error {
  override readonly name = 'IpError';
}

export interface IpBatchOptions {
  family: 'inet' | 'inet6';
  /** How long one request may take, in milliseconds. */
  deadline: number;
  environment: NodeJS.ProcessEnv;
  /** A request that was made at `since` (of performance.now()) was not answered in time; its process has been ended. */
  onHung?(since: number): void;
}

/** A long-lived `ip -batch -`: ip-batch mode in ip(8). Through stdbuf, because ip buffers its output into a pipe. */
export class IpBatch {
  readonly #options: IpBatchOptions;
  #process: Subprocess | undefined;
  #startedAt = 0;
  #queue: Promise<unknown> = Promise.resolve();
  #current: Exchange | undefined;
  #isOld = false;
  #renewal: NodeJS.Timeout | undefined;

  constructor(options: IpBatchOptions) {
    this.#options = options;
  }

  /**
   * Asks questions in their order; each has its own answer, and one that fails does not stop the next.
   * @throws IpError where ip cannot be asked at all.
   */
  ask(questions: readonly string[]): Promise<Answer[]> {
    return this.#run(questions, 'question');
  }

  /** The same for commands that print nothing but complaints. */
  change(commands: readonly string[]): Promise<Answer[]> {
    return this.#run(commands, 'change');
  }

  async #run(commands: readonly string[], kind: Kind): Promise<Answer[]> {
    const answered = this.#queue.then(() => this.#askAll(commands.filter(isPlain), kind));
    this.#queue = answered.catch(() => undefined);
    const answers = (await answered).values();
    return commands.map(
      command =>
        (isPlain(command) && answers.next().value) || { lines: [], error: `ip cannot be told ${command}` },
    );
  }

  /**
   * Another process for all that comes after the request that is under way. It is started soon, so that the next request
   * finds it there; of many calls in a row one does it.
   */
  renew(): void {
    this.#isOld = true;
    this.#renewal ??= setTimeout(() => {
      this.#renewal = undefined;
      if (this.#isOld && this.#current === undefined && this.#process !== undefined) this.#start();
    }, renewAfter);
    this.#renewal.unref();
  }

  /** Ends the process if it was there at that time (of performance.now()): what made another hang may have made it hang. */
  distrust(since: number): void {
    if (this.#startedAt <= since) this.#end();
  }

  /** Ends the process. */
  close(): void {
    clearTimeout(this.#renewal);
    this.#end();
  }

  #end(): void {
    this.#isOld = false;
    // It has nothing to tidy up, and one that is stopped would stay for ever.
    this.#process?.kill('SIGKILL');
    this.#process = undefined;
  }

  async #askAll(commands: readonly string[], kind: Kind): Promise<Answer[]> {
    const answers: Answer[] = [];
    let isRepeated = false;
    while (answers.length < commands.length) {
      const rest = commands.slice(answers.length);
      const exchange = await this.#exchange(rest, kind);
      answers.push(...exchange.answers);
      if (exchange.answers.length === rest.length) break;
      const message = exchange.complaint || (exchange.ending?.message ?? 'ip ended');
      // Somebody killed it: another is asked. What was done already is answered by "File exists" or "No such process".
      if (exchange.complaint === '' && !exchange.ending?.missing && !isRepeated) isRepeated = true;
      else if (exchange.complaint === '' || exchange.ending?.missing)
        throw new IpError(`ip cannot be asked: ${message}`);
      // A wrong argument ends ip even with -force: that command has failed, those behind it are asked anew.
      else answers.push({ lines: [], error: message });
    }
    return answers;
  }

  #exchange(commands: readonly string[], kind: Kind): Promise<Exchange> {
    const process = this.#start();
    const since = performance.now();
    return new Promise((resolve, reject) => {
      const exchange = new Exchange({ commands, kind, whenComplete: () => finish(resolve) });
      const finish = (settle: (exchange: Exchange) => void) => {
        clearTimeout(timer);
        this.#current = undefined;
        settle(exchange);
      };
      const timer = setTimeout(() => {
        process.kill('SIGKILL');
        this.#process = undefined;
        this.#options.onHung?.(since);
        finish(() =>
          reject(
            new IpError(
              `ip did not answer within ${this.#options.deadline} ms: ${commands[exchange.answers.length]}`,
            ),
          ),
        );
      }, this.#options.deadline);
      this.#current = exchange;
      exchange.onEnd = () => finish(resolve);
      process.stdin.write(exchange.text, error => {
        if (error && this.#current === exchange)
          exchange.ending ??= { missing: false, message: error.message };
      });
    });
  }

  #start() {
    if (this.#isOld) this.#end();
    if (this.#process !== undefined) return this.#process;
    const process = startIp(this.#options);
    this.#process = process;
    this.#startedAt = performance.now();
    process.stdin.on('error', () => undefined);
    splitLines(process.stdout, line => this.#current?.takeOutput(line));
    splitLines(process.stderr, line => this.#current?.takeError(line));
    void process.ended.then(({ exitCode, hasRun, message }) => {
      const missing = !hasRun || exitCode === 126 || exitCode === 127;
      this.#ended(process, { missing, message });
    });
    return process;
  }

  #ended(process: unknown, ending: Ending): void {
    if (this.#process !== process) return;
    this.#process = undefined;
    const exchange = this.#current;
    if (exchange === undefined) return;
    exchange.ending = ending;
    exchange.onEnd();
  }
}

/** Milliseconds; pppd takes longer from the interface to its hook. */
const renewAfter = 20;

/**
 * No control characters, which end a line or a word; no comment, quotation or continuation; no word that could be an
 * option. See getcmdline() and makeargs() in iproute2's lib/utils.c.
 */
export function isPlain(command: string): boolean {
  return command.split(' ').every(word => /^(?!-)[^\p{Cc}"#'\\]+$/u.test(word));
}

function startIp({ family, environment }: IpBatchOptions): Subprocess {
  const flag = family === 'inet' ? '-4' : '-6';
  return startSubprocess(['stdbuf', '-oL', 'ip', flag, '-o', '-force', '-batch', '-'], environment);
}
