// A machine of its own for one test: a network namespace of the real kernel, the daemon in it, and pppd's part played
// by the test. Root is not needed, only leave to make namespaces.
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import t, { type Test } from 'tap';
import { findObstacle, Namespace, type Started } from './namespace.ts';

const root = join(import.meta.dirname, '../..');
const program = process.env.PPP_ROUTED_PROGRAM ?? join(root, 'dist/ppp-routed.js');
/** The profile of most rows: match by ipparam `work`, everything through the link. */
export const replaceProfile = `
[link.work]
default-route = "replace"
server = "203.0.113.5"
`;

/** One row of the scenarios: a machine, and what happens on it. So many rows run side by side. */
export function scenario(
  name: string,
  story: (lab: Lab, t: Test) => Promise<void>,
  { jobs = 6 }: { jobs?: number } = {},
): void {
  t.jobs = jobs;
  void t.test(name, { buffered: true, skip: !process.env.CI && obstacle }, async t => {
    if (obstacle) throw new Error(`this tier has to run in CI: ${obstacle}`);
    const lab = await Lab.open(t);
    await story(lab, t);
  });
}

/** Why there can be no lab on this machine; false if there can. */
const obstacle = existsSync(program) ? findObstacle() : `${program} is not there: npm run build`;

/** What a test may say of a machine before the first event. */
export interface Machine {
  /** `ip address add …` for each; its device is made for it. */
  addresses?: string[];
  /** Commands of `ip` before the routes, such as `nexthop add …`. */
  commands?: string[];
  /** What `ip route` shall print; each line that the kernel has not made by itself is handed to `ip route add`. */
  routes?: string;
  /** The same of `ip -6 route`. */
  routes6?: string;
  profiles?: string;
  daemon?: false;
}

/** What pppd says of a link. */
export interface Call {
  ipparam?: string;
  local?: string;
  remote?: string;
  environment?: Record<string, string>;
}

export interface HookResult {
  exitCode: number | undefined;
  stderr: string;
  seconds: number;
}

/** What the control socket says of the daemon. */
export interface Status {
  status: string;
  degraded: boolean;
  troubles: string[];
  links: { interface: string; ifindex: number; says: string }[];
  savedDefaults: SavedState['savedDefaults'];
}

export interface SavedState {
  savedDefaults: { family: string; route: string }[];
  links: { interface: string; order: number; servers: string[]; profile?: { name: string } }[];
}

export class Lab {
  readonly #t: Test;
  readonly #namespace: Namespace;
  readonly directory: string;
  #daemon: Started | undefined;
  readonly #started: Started[] = [];
  #log = '';
  /** The whole of the tables before the first event. */
  before = '';

  static async open(t: Test): Promise<Lab> {
    const directory = await mkdtemp(join(tmpdir(), 'netns-'));
    t.teardown(() => rm(directory, { recursive: true, force: true }));
    for (const name of ['etc', 'run', 'state', 'peers']) await mkdir(join(directory, name));
    const lab = new Lab(t, directory, new Namespace());
    t.teardown(() => lab.#close());
    // Nobody can enter it before it is made.
    await lab.run('true');
    return lab;
  }

  private constructor(t: Test, directory: string, namespace: Namespace) {
    this.#t = t;
    this.directory = directory;
    this.#namespace = namespace;
  }

  /** Makes the machine, remembers its tables and starts the daemon. Without a word it is the base of all scenarios. */
  async machine(machine: Machine = {}): Promise<void> {
    const { addresses = ['192.168.1.10/24 dev eth0'], routes = base, routes6 = '', commands = [] } = machine;
    const devices = new Set(addresses.map(deviceOf));
    for (const device of devices) await this.plug(device);
    for (const address of addresses) await this.addAddress(address);
    for (const command of commands) await this.ip(command);
    await this.addRoutes(routes);
    await this.addRoutes(routes6, '-6');
    await this.shows(routes, 'the table to begin with');
    if (routes6 !== '') await this.shows6(routes6, 'the IPv6 table to begin with');
    this.before = await this.table();
    await this.write('etc/ppp-routed.toml', machine.profiles ?? replaceProfile);
    if (machine.daemon !== false) await this.startDaemon();
  }

  /** Hands every line of `ip route` that is not there yet to `ip route`. */
  async addRoutes(routes: string, family: '-4' | '-6' = '-4'): Promise<void> {
    const here = await this.lines(`${family} route`);
    for (const line of wholeRoutes(linesOf(routes)).filter(line => !here.includes(line))) {
      // Two of one metric are made by `append`; for all others it is the same as `add`.
      await this.ip(`${family} route ${family === '-4' ? 'append' : 'add'} ${line}`);
    }
  }

  /** A network card with a cable in it. The far end has no IPv6: nothing of it shows in a table, sooner or later. */
  async plug(device: string): Promise<void> {
    const commands = [
      `ip link add far-${device} type veth peer name ${device}`,
      `echo 1 >/proc/sys/net/ipv6/conf/far-${device}/disable_ipv6`,
      `ip link set far-${device} up`,
      `ip link set ${device} up`,
    ];
    await this.run('/bin/sh', '-euc', commands.join('\n'));
  }

  /** Runs a command on the machine and returns what it printed; it may not fail. */
  run(...argv: string[]): Promise<string> {
    return this.#namespace.run(...argv);
  }

  /** Starts a process on the machine; it ends with the test. */
  start(argv: string[], environment: Record<string, string> = {}): Started {
    const started = this.#namespace.start(['setpriv', '--pdeathsig', 'KILL', ...argv], environment);
    this.#started.push(started);
    return started;
  }

  /** `ip` with these words. */
  async ip(words: string): Promise<string> {
    return this.run('ip', ...words.split(/\s+/).filter(Boolean));
  }

  /** Everything that could be left behind, as the kernel prints it. */
  async table(): Promise<string> {
    return this.run(
      '/bin/sh',
      '-euc',
      'for family in -4 -6; do ip -d $family route show table all; ip $family rule; ip $family neigh show proxy; done',
    );
  }

  /** The lines of `ip route`, or of what else is asked. */
  async lines(words = 'route'): Promise<string[]> {
    return linesOf(await this.ip(words));
  }

  /** `ip route` prints these lines now. */
  async shows(routes: string, because = 'ip route'): Promise<void> {
    await this.prints('route', routes, because);
  }

  /** `ip -6 route` prints these lines now. */
  async shows6(routes: string, because = 'ip -6 route'): Promise<void> {
    await this.prints('-6 route', routes, because);
  }

  /** `ip` with these words prints these lines now. */
  async prints(words: string, lines: string, because = `ip ${words}`): Promise<void> {
    this.#t.same(await this.lines(words), linesOf(lines), because);
  }

  /** The device that a packet to this address would leave by. */
  async deviceTo(address: string): Promise<string> {
    const family = address.includes(':') ? '-6' : '-4';
    return deviceOf(await this.ip(`${family} route get ${address}`));
  }

  /** `ip route` comes to print these lines, within so many milliseconds. */
  async comesToShow(routes: string, within = 1000): Promise<void> {
    await this.comesToPrint('route', routes, within);
  }

  /** `ip` with these words comes to print these lines, within so many milliseconds. */
  async comesToPrint(words: string, lines: string, within: number): Promise<void> {
    const wanted = linesOf(lines).join('\n');
    await this.until(async () => (await this.lines(words)).join('\n') === wanted, within).catch(
      () => undefined,
    );
    await this.prints(words, lines, `ip ${words}, within ${within} ms`);
  }

  /** The tables are byte for byte what they were, and nothing of ours is left. */
  async restored(within = 0): Promise<void> {
    await this.until(async () => (await this.table()) === this.before, within).catch(() => undefined);
    const table = await this.table();
    this.#t.equal(table, this.before, 'byte for byte as before');
    this.#t.notMatch(table, ' proto 173', 'nothing of ours is left');
  }

  /** Waits for something to be so. */
  async until(condition: () => boolean | Promise<boolean>, within = 3000): Promise<void> {
    for (const started = performance.now(); !(await condition()); await sleep(10)) {
      if (performance.now() - started <= within) continue;
      // Where the test itself had no time to look, what it waits for may have come long ago, and not be read yet.
      await sleep(10);
      if (await condition()) return;
      throw new Error(`not so within ${within} ms: ${condition}`);
    }
  }

  /** What pppd does: the interface, its addresses, then ip-up. The far end of a veth is as good as a tunnel here. */
  async up(name: string, call: Call = {}): Promise<HookResult> {
    await this.connect(name, call);
    return this.fine(this.hook('ip-up', name, call));
  }

  /** pppd's part of an up, before it runs ip-up. */
  async connect(name: string, call: Call = {}): Promise<void> {
    const { local, remote } = endsOf(name, call);
    await this.plug(name);
    await this.addAddress(`${local} peer ${remote}/32 dev ${name}`);
  }

  /** What pppd adds for IPv6 before it runs ipv6-up. */
  async connect6(name: string): Promise<void> {
    await this.addAddress(`${ends6.local} peer ${ends6.remote}/128 dev ${name}`);
  }

  /** `ip address add`, and the kernel is done with it: routes of IPv6 come a little later. */
  async addAddress(words: string): Promise<void> {
    if (!words.includes(':')) return void (await this.ip(`address add ${words}`));
    await this.ip(`address add ${words} nodad`);
    const [local = '', , peer] = words.split(/[ /]/);
    const routes = [`local ${local} `, ...(words.includes(' peer ') ? [`\n${peer} `] : [])];
    await this.until(async () => {
      const table = await this.ip('-6 route show table all');
      return routes.every(route => table.includes(route));
    });
  }

  /** What pppd does: the addresses go, then ip-down, then the interface. */
  async down(name: string, call: Call = {}): Promise<HookResult> {
    const { local, remote } = endsOf(name, call);
    await this.ip(`link set ${name} down`);
    await this.ip(`address del ${local} peer ${remote}/32 dev ${name}`);
    const result = await this.fine(this.hook('ip-down', name, call));
    await this.ip(`link del ${name}`);
    return result;
  }

  /** Calls a hook of the checkout as pppd does. */
  async hook(
    event: 'ip-up' | 'ip-down' | 'ipv6-up' | 'ipv6-down',
    name: string,
    call: Call = {},
  ): Promise<HookResult> {
    const { local, remote } = endsOf(name, call);
    const environment = {
      RUNTIME_DIRECTORY: join(this.directory, 'run'),
      PPP_ROUTED_PEERS_DIRECTORY: join(this.directory, 'peers'),
      IFNAME: name,
      PPPD_PID: '4711',
      ...call.environment,
    };
    const variables = Object.entries(environment).map(([key, value]) => `${key}=${value}`);
    const started = performance.now();
    const [command, words] = this.#namespace.command([
      ...['env', '-i', ...variables, join(root, 'hooks', event)],
      ...[name, '/dev/pts/3', '115200', local, remote, call.ipparam ?? 'work'],
    ]);
    const result = await execa(command, words, { reject: false, stdin: 'ignore', timeout: 10_000 });
    return {
      exitCode: result.exitCode,
      stderr: result.stderr,
      seconds: (performance.now() - started) / 1000,
    };
  }

  /** A hook's result without a complaint. */
  async fine(result: Promise<HookResult>): Promise<HookResult> {
    const { exitCode, stderr, seconds } = await result;
    this.#t.same({ exitCode, stderr }, { exitCode: 0, stderr: '' }, 'the hook has nothing to complain of');
    return { exitCode, stderr, seconds };
  }

  /** Sends bytes to the hook socket and returns the reply. */
  async say(bytes: string | Buffer, how: { end?: boolean } = {}): Promise<string> {
    const socket = net.connect({ path: join(this.directory, 'run/hook.sock'), allowHalfOpen: true });
    const answered = new Promise<string>((resolve, reject) => {
      let reply = '';
      socket.setEncoding('utf8');
      socket.on('data', chunk => {
        reply += chunk;
      });
      socket.on('end', () => resolve(reply));
      socket.on('error', reject);
    });
    socket.write(bytes);
    if (how.end !== false) socket.end();
    return answered.finally(() => socket.destroy());
  }

  /** What `ppp-routectl` would be told. */
  async ask(command: 'status' | 'restore'): Promise<Status> {
    const socket = net.connect({ path: join(this.directory, 'run/control.sock'), allowHalfOpen: true });
    socket.end(`{"command":"${command}"}\n`);
    let text = '';
    for await (const chunk of socket) text += chunk;
    return JSON.parse(text).answer;
  }

  status(): Promise<Status> {
    return this.ask('status');
  }

  /** What is in the state directory: the saved defaults, and each link from its file. */
  async state(): Promise<SavedState> {
    const state = join(this.directory, 'state');
    const read = async (path: string) => JSON.parse(await readFile(join(state, path), 'utf8'));
    const names = await readdir(join(state, 'links')).catch((): string[] => []);
    const files = names.filter(name => /^\d+(\.lost\.\d+)?\.json$/.test(name));
    const links = await Promise.all(files.map(async name => (await read(`links/${name}`)).link));
    const { savedDefaults } = await read('state.json').catch(() => ({ savedDefaults: [] }));
    return { savedDefaults, links: links.sort((a, b) => a.order - b.order) };
  }

  /** The journal since the lab was opened, of every daemon that ran in it. */
  log(): string[] {
    return linesOf(this.#log);
  }

  /** So many lines of the journal after the first `since`, or more if there are. */
  async journal(since: number, count: number): Promise<string[]> {
    await this.until(() => this.log().length >= since + count).catch(() => undefined);
    return this.log().slice(since);
  }

  /** Waits for a line of the journal. */
  async says(pattern: RegExp, within = 3000): Promise<void> {
    await this.until(() => this.log().some(line => pattern.test(line)), within).catch(() => undefined);
    this.#t.ok(
      this.log().some(line => pattern.test(line)),
      `the journal says ${pattern}`,
      { journal: this.log() },
    );
  }

  /** Writes a file below the lab's directory. */
  async write(name: string, text: string): Promise<void> {
    await mkdir(join(this.directory, name, '..'), { recursive: true });
    await writeFile(join(this.directory, name), text);
  }

  /** Edits the configuration; resolves when the daemon has read it. What says the same is no edit, and nobody is told of it. */
  async configure(profiles: string): Promise<void> {
    const path = join(this.directory, 'etc/ppp-routed.toml');
    if (profiles === (await readFile(path, 'utf8').catch(() => undefined))) return;
    const reads = () =>
      this.log().filter(line => /the configuration (was read|is not used)/.test(line)).length;
    const before = reads();
    // As editors do it: half of a file is another configuration.
    await this.write('edited.toml', profiles);
    await mkdir(join(path, '..'), { recursive: true });
    await rename(join(this.directory, 'edited.toml'), path);
    await this.until(() => reads() > before);
  }

  async startDaemon(environment: Record<string, string> = {}): Promise<void> {
    const from = this.#log.length;
    const daemon = this.start([process.execPath, program], {
      CONFIGURATION_DIRECTORY: join(this.directory, 'etc'),
      RUNTIME_DIRECTORY: join(this.directory, 'run'),
      STATE_DIRECTORY: join(this.directory, 'state'),
      ...environment,
    });
    for (const stream of [daemon.stdout, daemon.stderr]) {
      stream?.on('data', chunk => {
        this.#log += chunk;
      });
    }
    this.#daemon = daemon;
    await this.until(() => this.#log.slice(from).includes('ready: '), 10_000).catch(() => {
      throw new Error(`the daemon is not ready: ${this.#log.slice(from)}`);
    });
  }

  /** Ends the daemon and waits for its end. */
  async stopDaemon(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    this.#daemon?.kill(signal);
    await this.#daemon;
    this.#daemon = undefined;
  }

  get daemonPid(): number | undefined {
    return this.#daemon?.pid;
  }

  async #close(): Promise<void> {
    if (!this.#t.passing()) this.#t.comment(`the journal:\n${this.#log}`);
    await this.stopDaemon();
    // What a killed daemon left listening ends at the next news.
    await this.ip('link set lo down').catch(() => undefined);
    for (const started of this.#started) started.kill('SIGKILL');
    await Promise.all(this.#started);
    await this.#namespace.close();
  }
}

/** The table of every scenario that does not bring its own. */
export const base = `
  default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100
  192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
`;

/** The same while ppp0 is up by `replaceProfile`. */
export const onLink = `
  default dev ppp0 proto 173 scope link
  10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
  192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
  203.0.113.5 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
`;

/** The same while ppp0 is there and left alone. */
export const linkAlone = `
  default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100
  10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
  192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
`;

/** What pppd says of IPv6. */
export const ends6 = { local: 'fe80::8:2', remote: 'fe80::8:1' };

/** The lines of a text, without indentation, spaces at their ends and empty ones. */
export function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map(line => line.trim().replace(' proto ppp-routed', ' proto 173').replace('\t', ' '))
    .filter(line => line !== '');
}

/** `ip route` gives every nexthop of several a line of its own. */
function wholeRoutes(lines: string[]): string[] {
  return lines.join('\n').replaceAll('\nnexthop', ' nexthop').split('\n').filter(Boolean);
}

function deviceOf(address: string): string {
  return / dev (\S+)/.exec(address)?.[1] ?? 'lo';
}

/** ppp3 has 10.99.3.2 → 10.99.3.1, and so on. */
function endsOf(name: string, { local, remote }: Call): { local: string; remote: string } {
  const unit = /\d+$/.exec(name)?.[0] ?? '0';
  return { local: local ?? `10.99.${unit}.2`, remote: remote ?? `10.99.${unit}.1` };
}
