import { type Answer, Exchange, type Kind } from './exchange.ts';
import { IpError, type IpOptions, IpProcess } from './ip-process.ts';
import { type Progress, StrictExchange } from './strict-exchange.ts';

/*
 * INVARIANTS
 * 1. Only what ip reads as the words that stand there is handed to it: a command cannot become two, or another.
 * 2. No request waits for a strict process to start: where none is ready the careful way is the quicker one.
 */

/** The two `ip` of a family: one goes on after a command that fails, the strict one ends there. */
export class IpBatch {
  readonly #careful: IpProcess;
  readonly #strict: IpProcess;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: IpOptions) {
    this.#careful = new IpProcess(options, ['-force']);
    this.#strict = new IpProcess(options, []);
  }

  /** Asks questions in their order; one that fails does not stop the next. @throws IpError: ip cannot be asked. */
  ask(questions: readonly string[]): Promise<Answer[]> {
    return this.#run(questions, 'question');
  }

  /** The same for commands that print nothing but complaints. */
  change(commands: readonly string[]): Promise<Answer[]> {
    return this.#run(commands, 'change');
  }

  /** Carries out commands until one is refused, in one exchange. @throws IpError where ip does not answer in time. */
  async changeStrictly(commands: readonly string[]): Promise<Progress> {
    let progress: Progress = { done: 0 };
    if (commands.length === 0) return progress;
    if (this.#strict.isReady && commands.every(isPlain)) {
      const exchange = new StrictExchange(commands, this.#strict.lineCount);
      await this.#strict.ask(exchange);
      progress = exchange.progress;
      if (progress.done < commands.length) this.#strict.distrust(performance.now());
    }
    if (!this.#strict.isReady) this.#strict.startSoon();
    return progress;
  }

  /** Changes are to come. */
  prepare(): void {
    this.#strict.startSoon();
  }

  /** See IpProcess. */
  renew(): void {
    for (const process of [this.#careful, this.#strict]) process.renew();
  }

  /** See IpProcess. */
  distrust(since: number): void {
    for (const process of [this.#careful, this.#strict]) process.distrust(since);
  }

  close(): void {
    for (const process of [this.#careful, this.#strict]) process.close();
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

  async #askAll(commands: readonly string[], kind: Kind): Promise<Answer[]> {
    const answers: Answer[] = [];
    let isRepeated = false;
    while (answers.length < commands.length) {
      const exchange = new Exchange(commands.slice(answers.length), kind);
      const ending = await this.#careful.ask(exchange);
      answers.push(...exchange.answers);
      if (ending === undefined) break;
      const { complaint } = exchange;
      const isMissing = !ending.hasRun || ending.exitCode === 126 || ending.exitCode === 127;
      // Somebody killed it: another is asked. What was done already is answered by "File exists" or "No such process".
      if (complaint === '' && !isMissing && !isRepeated) isRepeated = true;
      else if (complaint === '' || isMissing)
        throw new IpError(`ip cannot be asked: ${complaint || ending.message}`);
      // A wrong argument ends ip even with -force: that command has failed, those behind it are asked anew.
      else answers.push({ lines: [], error: complaint });
    }
    return answers;
  }
}

/** Only words that stand for themselves, and no options: getcmdline() and makeargs() in iproute2's lib/utils.c. */
export function isPlain(command: string): boolean {
  return command.split(' ').every(word => /^(?!-)[^\p{Cc}"#'\\]+$/u.test(word));
}
