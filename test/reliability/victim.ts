// A daemon that can be told at which step to die; see killer.mjs.
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Lab } from '../netns/lab.ts';
import type { Started } from '../netns/namespace.ts';
import { environmentOf, program } from './daemon.ts';

/** A passing of a boundary: the `nth` of that name since the daemon was told to count. */
export interface Point {
  name: string;
  nth: number;
}

/** A call of node:fs that fails from now on. */
export interface Fault {
  code: 'ENOSPC' | 'EROFS' | 'EIO' | 'EDQUOT';
  name: string;
}

type Command = Death | Fault | 'trace' | 'rest';

export interface Death extends Point {
  /** What becomes of the `ip` processes: they end with the daemon, or go on with what they were given. */
  children: 'keep' | 'kill';
}

const killer = join(import.meta.dirname, 'killer.mjs');

export class Victim {
  readonly #process: Started;
  /** The points that it passed since it was told to trace. */
  points: string[] = [];
  isDead = false;
  /** Resolves at its end, whatever brought it. */
  readonly ended: Promise<void>;
  log = '';
  #whenObeyed: () => void = () => undefined;

  /** Starts a daemon; where it is to die in its start, it must be told now. */
  constructor(lab: Lab, command: Command) {
    const argv = [process.execPath, '--import', killer, program];
    this.#process = lab.start(argv, { ...environmentOf(lab), KILLER: textOf(command) });
    createInterface({ input: this.#process.stderr }).on('line', line => this.#hear(line));
    this.#process.stdout.on('data', chunk => {
      this.log += chunk;
    });
    this.#process.stdin.on('error', () => undefined);
    this.ended = this.#process.then(({ signal, exitCode }) => {
      this.isDead = true;
      this.log += `ended: ${signal ?? exitCode}\n`;
      this.#whenObeyed();
    });
  }

  /** Counts from now on. Resolves when that is so, or the daemon is dead. */
  async tell(command: Command): Promise<void> {
    if (this.isDead) return;
    this.points = [];
    const obeyed = new Promise<void>(resolve => {
      this.#whenObeyed = resolve;
    });
    this.#process.stdin.write(`${textOf(command)}\n`);
    await obeyed;
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.ended;
  }

  /** Ends it as systemd does. */
  async stop(): Promise<void> {
    if (this.isDead) return;
    this.#process.kill('SIGTERM');
    await Promise.race([this.ended, once(AbortSignal.timeout(5000), 'abort').then(() => this.kill())]);
  }

  #hear(line: string): void {
    const said = /^killer: (\w+) ?(.*)$/.exec(line);
    if (said?.[1] === 'point') this.points.push(said[2] ?? '');
    else if (said?.[1] === 'ok') this.#whenObeyed();
    else this.log += `${line}\n`;
  }
}

function textOf(command: Command): string {
  if (typeof command === 'string') return command;
  if ('code' in command) return `fail ${command.code} ${command.name}`;
  return `${command.children} ${command.nth} ${command.name}`;
}
