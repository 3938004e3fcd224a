import { type Subprocess, splitLines, startSubprocess } from './subprocess.ts';

export interface IpMonitorOptions {
  environment: NodeJS.ProcessEnv;
  /** How long to wait before a monitor that ended is started again, in milliseconds. */
  restartAfter: number;
  onLine(line: string): void;
  /** What was said before is not the whole any more: another monitor is about to listen. */
  onStart(): void;
  onTrouble(message: string | undefined): void;
}

/** One long-lived `ip monitor` (ip-monitor(8)). */
export class IpMonitor {
  readonly #options: IpMonitorOptions;
  #process: Subprocess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: IpMonitorOptions) {
    this.#options = options;
  }

  /** Starts to listen. Changes made from now on are seen. */
  start(): void {
    if (this.#closed) return;
    const process = startMonitor(this.#options.environment);
    this.#process = process;
    let complaint = '';
    this.#options.onStart();
    const take = (line: string) => {
      if (this.#process === process) this.#options.onLine(line);
    };
    splitLines(process.stdout, take);
    splitLines(process.stderr, line => {
      complaint = line;
      take(line);
    });
    const ended = (message: string) => {
      if (this.#closed || this.#process !== process) return;
      this.#options.onTrouble(
        `ip monitor ended (${complaint || message}): changes made by others are seen late`,
      );
      this.#timer = setTimeout(() => {
        this.start();
        this.#options.onTrouble(undefined);
      }, this.#options.restartAfter);
    };
    void process.ended.then(({ message }) => ended(message));
  }

  /** Another one, at once: this one does not answer, or knows interfaces by names of before. */
  restart(): void {
    clearTimeout(this.#timer);
    // Whether it stops at SIGTERM or not.
    this.#process?.kill('SIGKILL');
    this.start();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#process?.kill('SIGKILL');
  }
}

function startMonitor(environment: NodeJS.ProcessEnv): Subprocess {
  const argv = ['ip', '-o', 'monitor', 'label', 'link', 'address', 'route', 'rule', 'nexthop'];
  return startSubprocess(argv, environment);
}
