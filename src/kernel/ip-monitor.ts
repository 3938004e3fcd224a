import { execa } from 'execa';
import { splitLines } from './ip-batch.ts';

/** What a line of the monitor calls for: nothing, or a look at the kernel. The second form: lines were lost. */
export type Hint = 'nothing' | 'look' | 'overflow';

export interface IpMonitorOptions {
  environment: NodeJS.ProcessEnv;
  /** How long to wait before a monitor that ended is started again, in milliseconds. */
  restartAfter: number;
  onHint(hint: Exclude<Hint, 'nothing'>): void;
  onTrouble(message: string | undefined): void;
}

/** One long-lived `ip monitor` (ip-monitor(8)). Its lines are hints to look; what is there decides. */
export class IpMonitor {
  readonly #options: IpMonitorOptions;
  #process: ReturnType<typeof startMonitor> | undefined;
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
    const take = (line: string) => {
      const hint = hintOf(line);
      if (hint !== 'nothing') this.#options.onHint(hint);
    };
    splitLines(process.stdout, take);
    splitLines(process.stderr, line => {
      complaint = line;
      take(line);
    });
    const ended = (message: string) => {
      if (this.#closed) return;
      this.#options.onTrouble(
        `ip monitor ended (${complaint || message}): changes made by others are seen late`,
      );
      this.#timer = setTimeout(() => {
        this.start();
        this.#options.onTrouble(undefined);
        this.#options.onHint('overflow');
      }, this.#options.restartAfter);
    };
    process.then(
      ({ shortMessage }) => ended(shortMessage ?? 'no reason given'),
      (error: unknown) => ended(String(error)),
    );
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#process?.kill('SIGTERM');
  }
}

/**
 * Reads one line of `ip -o monitor label link address route rule`. Links and addresses always matter: the IPv4 routes
 * that a link takes with it are not announced. Our own additions do not.
 */
export function hintOf(line: string): Hint {
  if (line.includes('No buffer space') || line.includes('netlink receive error')) return 'overflow';
  if (/^\[(LINK|ADDR|RULE)\]/.test(line)) return 'look';
  const route = /^\[ROUTE\](Deleted )?(.*)$/.exec(line);
  if (route === null) return 'nothing';
  const [, deleted, text = ''] = route;
  if (/^(local|broadcast|multicast|anycast) | table local /.test(text)) return 'nothing';
  if (deleted === undefined && / proto (173|ppp-routed) /.test(`${text} `)) return 'nothing';
  return 'look';
}

function startMonitor(environment: NodeJS.ProcessEnv) {
  return execa('ip', ['-o', 'monitor', 'label', 'link', 'address', 'route', 'rule'], {
    encoding: 'utf8',
    buffer: false,
    stdin: 'ignore',
    reject: false,
    extendEnv: false,
    env: { ...environment, LC_ALL: 'C' },
  });
}
