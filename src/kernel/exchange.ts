import type { Request } from './ip-process.ts';

/*
 * INVARIANTS
 * 1. Every question is followed by two marks, one for each of ip's outputs; a change, which prints nothing but complaints,
 *    by one. It is answered when its marks have come back; nothing that ip prints for it can be taken for another's.
 */

/** What `ip` said to one command. */
export interface Answer {
  lines: string[];
  /** The kernel's or ip's complaint; undefined on success. */
  error?: string;
}

/** What prints something is followed by a mark on standard output too. */
export type Kind = 'question' | 'change';

/** What ip is asked behind a command, so that its answer tells that the command is done with. */
export const mark = {
  /** Answered on standard output: the loopback interface is there in every network namespace. */
  command: 'link show dev lo',
  /** Answered on standard error: an object that ip does not know fails without asking the kernel. It ends ip without -force. */
  errorCommand: 'answered',
};
const errorPrinted = 'Object "answered" is unknown, try "ip help".';

/** Commands that are each answered on their own, and their answers as far as they have come. */
export class Exchange implements Request {
  readonly text: string;
  readonly answers: Answer[] = [];
  /** Complaints of the command that is being answered. */
  complaint = '';
  readonly #commands: readonly string[];
  readonly #kind: Kind;
  readonly #outputs: string[][] = [[]];
  readonly #errors: string[] = [];

  constructor(commands: readonly string[], kind: Kind) {
    this.#commands = commands;
    this.#kind = kind;
    const marks = `${kind === 'question' ? `${mark.command}\n` : ''}${mark.errorCommand}\n`;
    this.text = commands.map(command => `${reminderFor(command)}${command}\n${marks}`).join('');
  }

  get isComplete(): boolean {
    return this.answers.length === this.#commands.length;
  }

  get unanswered(): string {
    return this.#commands[this.answers.length] ?? '';
  }

  takeOutput(line: string): void {
    const output = this.#outputs.at(-1) ?? [];
    if (isMark(line)) {
      // A list of links has the loopback interface once itself.
      const listsLinks = this.#commands[this.#outputs.length - 1] === 'link show';
      if (!listsLinks || output.some(isMark)) {
        this.#outputs.push([]);
        this.#settle();
        return;
      }
    }
    output.push(line);
  }

  takeError(line: string): void {
    if (line === errorPrinted) {
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
  }
}

/** Is this the mark on standard output? Only as a whole: of an `ip` whose lines are cut nothing is believed. */
export function isMark(line: string): boolean {
  return /^1: lo: <[^>]*> mtu \d+ .* group .*\\\s+link\/\S+ [\d:]{17}\b/.test(line);
}

/**
 * iproute2 remembers the last name of a protocol together with the last number it read, whether they belong together or
 * not: after `proto dhcp` and `proto 173` the next `proto dhcp` is 173. Asked for another name it looks again; this
 * question prints nothing. It is about rules, because an `ip` that was started just now reads all interfaces before it says
 * anything of neighbours, and there may be thousands.
 */
export function reminderFor(command: string): string {
  const name = / proto ([A-Za-z]\S*)/.exec(command)?.[1];
  return name === undefined
    ? ''
    : `rule show priority 17399 table 17399 protocol ${name === 'kernel' ? 'boot' : 'kernel'}\n`;
}
