// A machine for one contender: a network namespace of the real kernel with a table of its own, and a clock in it.
import { mkdirSync, readFileSync, statfsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Namespace, type Started } from '../netns/namespace.ts';

/** The checkout. The programs of the benchmark are bundled two directories below it too. */
export const root = join(import.meta.dirname, '../..');
/** Every default through the link, as the how-to does it. */
export const replaceProfile = `
[link.work]
default-route = "replace"
server = "203.0.113.5"
`;

export const program = process.env.PPP_ROUTED_PROGRAM ?? join(root, 'dist/ppp-routed.js');

const unit = readFileSync(join(root, 'systemd/ppp-routed.service'), 'utf8');
/** The flags of node in the unit: what runs there is what is measured. */
export const unitFlags: readonly string[] =
  /^ExecStart=.*\/node((?: --\S+)*) \S+\.js$/m.exec(unit)?.[1]?.split(' ').filter(Boolean) ?? [];
/** What the unit tells the C library about memory. */
export const unitEnvironment: Readonly<Record<string, string>> = Object.fromEntries(
  [...unit.matchAll(/^Environment=(MALLOC_\w+)=(\S+)$/gm)].map(([, name = '', value = '']) => [name, value]),
);

/** What `clock.pl` said of one thing that it did. */
export interface Timed {
  milliseconds: number;
  said: string;
}

export class Machine {
  readonly namespace = new Namespace();
  readonly directory: string;
  readonly #started: Started[] = [];
  #clock: { process: Started; lines: AsyncIterator<string> } | undefined;
  #log = '';
  #daemon: Started | undefined;

  static async open(): Promise<Machine> {
    const machine = new Machine(await mkdtemp(join(inMemory('/dev/shm') ? '/dev/shm' : tmpdir(), 'bench-')));
    await machine.#prepare();
    return machine;
  }

  private constructor(directory: string) {
    this.directory = directory;
    for (const name of ['etc', 'run', 'state', 'peers']) mkdirSync(join(directory, name));
  }

  /** A laptop in its office: an uplink by DHCP, two bridges of virtual machines, networks behind a second router; and ppp0. */
  async #prepare(): Promise<void> {
    await this.script(`
      mount -t tmpfs tmpfs /run
      ${['eth0', 'docker0', 'virbr0', 'ppp0'].map(plug).join('\n')}
      ip address add 192.168.1.10/24 dev eth0
      ip address add 172.17.0.1/16 dev docker0
      ip address add 192.168.122.1/24 dev virbr0
      ip address add 10.99.0.2 peer 10.99.0.1/32 dev ppp0
      ip route add default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 302
      ip route add 10.0.0.0/8 via 192.168.1.2
      ip route add 193.6.37.0/24 via 192.168.1.2
    `);
  }

  run(...argv: string[]): Promise<string> {
    return this.namespace.run(...argv);
  }

  /** Commands of the shell; none of them may fail. */
  script(text: string): Promise<string> {
    return this.run('/bin/sh', '-euc', text);
  }

  /** Starts a process that ends with the machine. */
  start(argv: string[], environment: Record<string, string> = {}): Started {
    const started = this.namespace.start(['setpriv', '--pdeathsig', 'KILL', ...argv], environment);
    this.#started.push(started);
    return started;
  }

  /** Runs a command as pppd runs a script: an environment that is nearly empty, nobody to read what it says. */
  async time(argv: readonly string[], environment: Record<string, string> = {}): Promise<Timed> {
    const variables = Object.entries(environment).map(([key, value]) => `${key}=${value}`);
    return this.#clocked(['run', ...variables, '--', ...argv]);
  }

  /** Starts a program and waits for its word that it is ready; says its process id. */
  async timeStart(argv: readonly string[], environment: Record<string, string> = {}): Promise<Timed> {
    const variables = Object.entries(environment).map(([key, value]) => `${key}=${value}`);
    const timed = await this.#clocked(['ready', ...variables, '--', ...argv]);
    if (!/^\d+$/.test(timed.said)) throw new Error(`${argv.join(' ')}: ${timed.said}`);
    return timed;
  }

  /** Ends what `timeStart` has started. */
  end(pid: string): Promise<Timed> {
    return this.#clocked(['end', pid]);
  }

  /** Says something to a socket of the daemon and waits for the reply. */
  ask(socket: string, text: string): Promise<Timed> {
    return this.#clocked(['ask', join(this.directory, socket), text.replaceAll('\n', '\\n')]);
  }

  async #clocked(words: readonly string[]): Promise<Timed> {
    if (this.#clock === undefined) {
      const process = this.start(['perl', join(root, 'test/bench/clock.pl')]);
      const lines = createInterface({ input: process.stdout })[Symbol.asyncIterator]();
      this.#clock = { process, lines };
    }
    if (words.some(word => word.includes('\n'))) throw new Error(`the clock reads lines: ${words.join(' ')}`);
    this.#clock.process.stdin.write(`${words.join('\x1f')}\n`);
    const { value, done } = await this.#clock.lines.next();
    if (done) throw new Error(`the clock stopped: ${(await this.#clock.process).stderr}`);
    const [, microseconds = '', said = ''] = /^(\S+) (.*)$/.exec(value) ?? [];
    return { milliseconds: Number(microseconds) / 1000, said };
  }

  /** What the hook says to the daemon. */
  async event(name: EventName, link = 'ppp0', ipparam = 'work'): Promise<string> {
    const index = Number(await this.run('cat', `/sys/class/net/${link}/ifindex`));
    return eventOf({ name, link, index, ipparam });
  }

  /** The index of every interface. */
  async indexes(): Promise<Map<string, number>> {
    const lines = (await this.run('ip', '-o', 'link')).split('\n');
    return new Map(
      lines.flatMap(line => {
        const [, index, name = ''] = /^(\d+): ([^:@]+)/.exec(line) ?? [];
        return index === undefined ? [] : [[name, Number(index)] as const];
      }),
    );
  }

  /** Commands of `ip`, by one process. */
  async batch(commands: readonly string[]): Promise<void> {
    const path = join(this.directory, 'batch');
    await writeFile(path, `${commands.join('\n')}\n`);
    await this.run('ip', '-batch', path);
  }

  /** Says these events to the daemon, many at a time, and waits for all the replies. None of them may be a complaint. */
  async tell(events: readonly string[], atOnce = 200): Promise<void> {
    const rest = [...events];
    const tellOn = async () => {
      for (let text = rest.shift(); text !== undefined; text = rest.shift()) {
        const reply = await say(join(this.directory, 'run/hook.sock'), text);
        if (!reply.startsWith('ok '))
          throw new Error(`the daemon answered: ${reply}\n${this.log.slice(-2000)}`);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, tellOn));
  }

  /** What the daemon says of itself. */
  async status(): Promise<{ links: unknown[]; degraded: boolean; troubles: string[] }> {
    return JSON.parse(await say(join(this.directory, 'run/control.sock'), '{"command":"status"}\n')).answer;
  }

  /** The variables that lead hooks and programs to this machine's directories. */
  get directories(): Record<string, string> {
    return {
      CONFIGURATION_DIRECTORY: join(this.directory, 'etc'),
      RUNTIME_DIRECTORY: join(this.directory, 'run'),
      STATE_DIRECTORY: join(this.directory, 'state'),
    };
  }

  /** Starts the daemon and waits until it is ready. */
  async startDaemon(profiles: string, path = program): Promise<void> {
    await writeFile(join(this.directory, 'etc/ppp-routed.toml'), profiles);
    const daemon = this.start([process.execPath, ...unitFlags, path], {
      ...unitEnvironment,
      ...this.directories,
    });
    this.#daemon = daemon;
    const ready = new Promise<void>((resolve, reject) => {
      for (const stream of [daemon.stdout, daemon.stderr]) {
        stream.on('data', chunk => {
          this.#log += chunk;
          if (this.#log.includes('ready: ')) resolve();
        });
      }
      void daemon.then(() => reject(new Error(`the daemon is not ready: ${this.#log}`)));
    });
    await ready;
  }

  get daemon(): Started {
    if (this.#daemon === undefined) throw new Error('no daemon was started on this machine');
    return this.#daemon;
  }

  /** What the daemon has said so far. */
  get log(): string {
    return this.#log;
  }

  async close(): Promise<void> {
    this.#clock?.process.stdin.end();
    for (const started of this.#started) started.kill('SIGTERM');
    await Promise.all(this.#started);
    await this.namespace.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}

export type EventName = 'ip-up' | 'ip-down';

/** What the hook says to the daemon of a link that is matched by its ipparam. */
export function eventOf(event: { name: EventName; link: string; index: number; ipparam: string }): string {
  const { name, link, index, ipparam } = event;
  const lines = [
    'version=1',
    `event=${name}`,
    `interface=${link}`,
    `ifindex=${index}`,
    'local=10.99.0.2',
    'remote=10.99.0.1',
    `ipparam=${ipparam}`,
    'pid=4711',
  ];
  return `${lines.join('\n')}\n\n`;
}

/** One connection to a Unix socket; what came back. */
function say(path: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen: true }, () => socket.end(text));
    let reply = '';
    socket.setEncoding('utf8');
    socket.on('data', chunk => {
      reply += chunk;
    });
    socket.on('end', () => resolve(reply.trimEnd()));
    socket.on('error', reject);
  });
}

/** Is it a tmpfs, as /run is? What the scripts of others save is in one too. */
function inMemory(directory: string): boolean {
  const tmpfs = 0x0102_1994;
  try {
    return statfsSync(directory).type === tmpfs;
  } catch {
    return false;
  }
}

/** A network card with a cable in it; the far end is no machine. */
function plug(device: string): string {
  return `
    ip link add ${device} type veth peer name far-${device}
    ip link set far-${device} up
    ip link set ${device} up`;
}
