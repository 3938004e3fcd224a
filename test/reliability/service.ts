// The daemon as a service: a supervisor that is the test's starts it anew, with sockets that outlive it or without.
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Lab, linesOf } from '../netns/lab.ts';
import type { Started } from '../netns/namespace.ts';
import { environmentOf, program } from './daemon.ts';

export class Service {
  readonly #lab: Lab;
  readonly #supervisor: Started;
  /** What the daemons and the supervisor have said so far, in the order they said it. */
  readonly log: string[] = [];
  #starts = 0;

  /** @param how `activated`: the supervisor holds hook.sock and control.sock, also while no daemon runs. */
  constructor(lab: Lab, how: 'activated' | 'alone') {
    this.#lab = lab;
    const run = join(lab.directory, 'run');
    const sockets = how === 'activated' ? [join(run, 'hook.sock'), join(run, 'control.sock')] : [];
    const command = ['setpriv', '--pdeathsig', 'KILL', process.execPath, program];
    const supervisor = join(import.meta.dirname, 'service.pl');
    this.#supervisor = lab.start(['perl', supervisor, ...sockets, '--', ...command], environmentOf(lab));
    // By the line, as it comes: to split megabytes at every look would leave no time to read them.
    for (const stream of [this.#supervisor.stdout, this.#supervisor.stderr])
      createInterface({ input: stream }).on('line', line => this.log.push(...linesOf(line)));
  }

  start(): void {
    this.#starts++;
    this.#supervisor.stdin.write('start\n');
  }

  signal(name: 'KILL' | 'TERM' | 'STOP' | 'CONT'): void {
    this.#supervisor.stdin.write(`signal ${name}\n`);
  }

  /** Resolves when the supervisor holds the sockets. */
  async listening(): Promise<void> {
    await this.#lab.until(() => this.#count(/^service: listening/) === 1, 20_000);
  }

  /** Resolves when the daemon that was started last has ended. */
  async ended(): Promise<void> {
    await this.#lab.until(() => this.#count(/^service: ended/) === this.#starts, 60_000);
  }

  /** Resolves when the daemon that was started last is ready. */
  async ready(): Promise<void> {
    const last = (beginning: string) => this.log.findLastIndex(line => line.startsWith(beginning));
    await this.#lab
      .until(
        () =>
          this.#count(/^service: started/) === this.#starts &&
          last('notice: ready: ') > last('service: started '),
        60_000,
      )
      .catch(async () => {
        const pid = this.log.findLast(line => line.startsWith('service: started '))?.split(' ')[2];
        throw new Error(
          `the daemon ${pid} is not ready: ${await this.#lab.run('ps', '-o', 'pid,ppid,stat,wchan:30,etime,args', '-e')}`,
        );
      });
  }

  /** Resolves when it is ready and says nothing more. */
  async idle(): Promise<void> {
    await this.ready();
    for (let length = -1; length !== this.log.length; await sleep(300)) length = this.log.length;
  }

  #count(pattern: RegExp): number {
    return this.log.filter(line => pattern.test(line)).length;
  }
}
