import { type Subprocess, startSubprocess } from './subprocess.ts';

/*
 * INVARIANTS
 * 1. One request at a time: a request's commands are written only when the one before has been answered or given up.
 * 2. Every question is followed by two marks, one for each of ip's outputs; a change, which prints nothing but complaints,
 *    by one. It is answered when its marks have come back; nothing that ip prints for it can be taken for another's.
 * 3. Only what ip reads as the words that stand there is handed to it: a command cannot become two, or another.
 * 4. A process that ended or did not answer in time is never asked again; the next command starts a new one.
 */

/** What `ip` said to one command. */
export interface Answer {
  lines: string[];
  /** The kernel's or ip's complaint; undefined on success. */
  error?: string;
}

/** `ip` could not be asked: it is missing, hangs, or is not allowed to. */
export class IpError extends Error {
  override readonly name = 'IpError';
}

/** How an `ip` came to its end; `missing`: it never ran. */
interface Ending {
  missing: boolean;
  message: string;
}

/** What prints something is followed by a mark on standard output too. */
type Kind = 'question' | 'change';

interface Mark {
  /** On standard output: the loopback interface is there in every network namespace. */
  command: string;
  printed: RegExp;
  /** On standard error: an object that ip does not know fails without asking the kernel and without ending the batch. */
  errorCommand: string;
  errorPrinted: string;
}

const mark: Mark = {
  command: 'link show dev lo',
  printed: /^1: lo: </,
  errorCommand: 'answered',
  errorPrinted: 'Object "answered" is unknown, try "ip help".',
};

export interface IpBatchOptions {
  family: 'inet' | 'inet6';
  /** How long one request may take, in milliseconds. */
  deadline: number;
  environment: NodeJS.ProcessEnv;
  /** A request was not answered in time; its process has been ended. */
  onHung?(): void;
}

/** A long-lived `ip -batch -`: ip-batch mode in ip(8). Through stdbuf, because ip buffers its output into a pipe. */
export class IpBatch {
  readonly #options: IpBatchOptions;
  #process: Subprocess | undefined;
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
        this.#options.onHung?.();
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
      const marks = `${kind === 'question' ? `${mark.command}\n` : ''}${mark.errorCommand}\n`;
      const text = commands.map(command => `${reminderFor(command)}${command}\n${marks}`).join('');
      process.stdin.write(text, error => {
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

/**
 * iproute2 remembers the last name of a protocol together with the last number it read, whether they belong together or
 * not: after `proto dhcp` and `proto 173` the next `proto dhcp` is 173. Asked for another name it looks again; this
 * question prints nothing. It is about rules, because an `ip` that was started just now reads all interfaces before it says
 * anything of neighbours, and there may be thousands.
 */
function reminderFor(command: string): string {
  const name = / proto ([A-Za-z]\S*)/.exec(command)?.[1];
  return name === undefined
    ? ''
    : `rule show priority 17399 table 17399 protocol ${name === 'kernel' ? 'boot' : 'kernel'}\n`;
}

/** The answers to the commands of one request, as far as they have come. */
class Exchange {
  readonly answers: Answer[] = [];
  /** Complaints of the command that is being answered. */
  complaint = '';
  ending: Ending | undefined;
  onEnd: () => void = () => undefined;
  readonly #commands: readonly string[];
  readonly #kind: Kind;
  readonly #whenComplete: () => void;
  #outputs: string[][] = [[]];
  #errors: string[] = [];

  constructor(request: { commands: readonly string[]; kind: Kind; whenComplete: () => void }) {
    this.#commands = request.commands;
    this.#kind = request.kind;
    this.#whenComplete = request.whenComplete;
  }

  takeOutput(line: string): void {
    const output = this.#outputs.at(-1) ?? [];
    if (mark.printed.test(line)) {
      // A list of links has the loopback interface once itself.
      const listsLinks = this.#commands[this.#outputs.length - 1] === 'link show';
      if (!listsLinks || output.some(earlier => mark.printed.test(earlier))) {
        this.#outputs.push([]);
        this.#settle();
        return;
      }
    }
    output.push(line);
  }

  takeError(line: string): void {
    if (line === mark.errorPrinted) {
      this.#errors.push(this.complaint);
      this.complaint = '';
      this.#settle();
    } else if (!/^Command failed -:\d+$/.test(line)) {
      this.complaint = this.complaint === '' ? line : `${this.complaint}; ${line}`;
    }
  }

  #settle(): void {
    const printed = this.#kind === 'question' ? this.#outputs.length - 1 : this.#errors.length;
    const complete = Math.min(printed, this.#errors.length);
    while (this.answers.length < complete) {
      const lines = this.#outputs[this.answers.length] ?? [];
      const error = this.#errors[this.answers.length] ?? '';
      this.answers.push(error === '' ? { lines } : { lines, error });
    }
    if (this.answers.length === this.#commands.length) this.#whenComplete();
  }
}

/** Calls back for every line of a stream. */
export function splitLines(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
  stream.on('error', () => undefined);
}
