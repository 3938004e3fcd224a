import { isMark, mark, reminderFor } from './exchange.ts';
import type { Request } from './ip-process.ts';

/*
 * INVARIANTS
 * 1. ip without -force ends at the first command that fails and carries out none behind it: what the mark on its standard
 *    output follows has been carried out, all of it.
 * 2. There is no mark on standard error: what ip complains of ends it.
 */

/** How far commands were carried out. */
export interface Progress {
  /** So many from the first on were carried out for certain. */
  done: number;
  /** Why the next was refused; then none behind it was carried out. undefined: that is not known. */
  error?: string;
}

/** Commands that need each other, with one mark behind them. */
export class StrictExchange implements Request {
  readonly text: string;
  readonly #commands: readonly string[];
  /** The line of each, by the number that ip gives it in a complaint. */
  readonly #lines: readonly number[];
  readonly #complaints: string[] = [];
  #isMarked = false;
  #failedLine: number | undefined;

  /** `lineCount`: how many lines the process has been given before. */
  constructor(commands: readonly string[], lineCount: number) {
    this.#commands = commands;
    const texts = commands.map(command => `${reminderFor(command)}${command}\n`);
    let line = lineCount;
    this.#lines = texts.map(text => {
      line += text.split('\n').length - 1;
      return line;
    });
    this.text = `${texts.join('')}${mark.command}\n`;
  }

  get isComplete(): boolean {
    return this.#isMarked || this.#failedLine !== undefined;
  }

  get unanswered(): string {
    const more = this.#commands.length - 1;
    return `${this.#commands[0]}${more > 0 ? ` and ${more} more` : ''}`;
  }

  takeOutput(line: string): void {
    if (isMark(line)) this.#isMarked = true;
  }

  takeError(line: string): void {
    const number = /^Command failed -:(\d+)$/.exec(line)?.[1];
    if (number === undefined) this.#complaints.push(line);
    else this.#failedLine = Number(number);
  }

  get progress(): Progress {
    const failedLine = this.#failedLine ?? 0;
    const done = this.#lines.findIndex(line => line >= failedLine);
    if (this.#isMarked || done < 0) return { done: this.#commands.length };
    // Else it was the reminder in front of it, or ip was killed.
    return this.#lines[done] === failedLine ? { done, error: this.#complaints.join('; ') } : { done };
  }
}
