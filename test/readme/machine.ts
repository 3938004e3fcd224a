// A machine on which ppp-routed is installed where the README says, so that its commands run word for word: a network
// namespace of its own, and a root directory that setup laid its files out in and that shows the real one's files beside them.
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa, execaSync } from 'execa';

const root = join(import.meta.dirname, '../..');
const isRoot = process.getuid?.() === 0;
const isolate = [...(isRoot ? [] : ['--user', '--map-root-user']), '--net', '--mount'];
const enter = [...(isRoot ? [] : ['--user', '--preserve-credentials']), '--net', '--mount', '--root', '--wd'];

/** Why there can be no such machine here; undefined if there can. */
export function findObstacle(): string | undefined {
  const { failed, stderr, shortMessage } = execaSync('unshare', [...isolate, 'true'], { reject: false });
  return failed ? `this kernel forbids namespaces: ${stderr || shortMessage}` : undefined;
}

export class Machine {
  readonly #directory: string;
  readonly #holder: ReturnType<typeof hold>;
  #daemon: ReturnType<typeof runInside> | undefined;
  #log = '';

  /** The how-to's laptop on its wireless network, with this configuration. */
  static async make(configuration: string): Promise<Machine> {
    const directory = await mkdtemp(join(tmpdir(), 'readme-'));
    for (const path of ['etc/ppp', 'run/ppp-routed', 'usr/bin', 'host', 'sys']) {
      await mkdir(join(directory, path), { recursive: true });
    }
    await writeFile(join(directory, 'etc/os-release'), 'ID=debian\n');
    await execa(process.execPath, [
      ...[join(root, 'scripts/setup.mjs'), '--no-build'],
      ...['--root', directory],
    ]);
    await writeFile(join(directory, 'etc/ppp-routed/ppp-routed.toml'), configuration);
    await symlink(join('/host', process.execPath), join(directory, 'usr/bin/node'));
    // Root already is who runs this.
    await writeFile(join(directory, 'usr/bin/sudo'), '#!/bin/sh\nexec "$@"\n', { mode: 0o755 });
    await showBeside(directory, '/');
    const machine = new Machine(directory, hold(directory));
    await machine.#isReady();
    return machine;
  }

  private constructor(directory: string, holder: ReturnType<typeof hold>) {
    this.#directory = directory;
    this.#holder = holder;
  }

  /** Runs a command as a person types it; returns everything that it printed. */
  async type(command: string): Promise<{ output: string; exitCode: number | undefined }> {
    const { all, exitCode } = await runInside(this.#holder, ['/bin/sh', '-c', command]);
    return { output: String(all), exitCode };
  }

  /** Runs a command that may not fail. */
  async run(command: string): Promise<string> {
    const { output, exitCode } = await this.type(command);
    if (exitCode !== 0) throw new Error(`${command}: exit status ${exitCode}: ${output}`);
    return output;
  }

  /** The daemon runs, and pppd has brought ppp0 up anew. */
  async up(): Promise<void> {
    if (this.#daemon === undefined) await this.#startDaemon();
    await this.down();
    await this.run(
      'ip link add far type veth peer name ppp0; ip link set far up; ip link set ppp0 addrgenmode none up',
    );
    await this.run('ip address add 10.99.0.2 peer 10.99.0.1 dev ppp0');
    await this.#hook('ip-up');
  }

  /** pppd has taken ppp0 down. */
  async down(): Promise<void> {
    const { exitCode } = await this.type('ip link set ppp0 down 2>/dev/null');
    if (exitCode !== 0) return;
    await this.#hook('ip-down');
    await this.run('ip link del ppp0');
  }

  /** The daemon is killed, and its service manager with it as it were; then the link goes. */
  async breakDown(): Promise<void> {
    this.#daemon?.kill('SIGKILL');
    await this.#daemon;
    this.#daemon = undefined;
    await this.type('ip link del ppp0');
  }

  async close(): Promise<void> {
    this.#daemon?.kill('SIGTERM');
    await this.#daemon;
    // What a killed daemon left listening to the kernel ends at the next news.
    await this.type('ip link set lo down');
    this.#holder.stdin?.end();
    await this.#holder;
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #hook(action: 'ip-up' | 'ip-down'): Promise<void> {
    const words = 'ppp0 /dev/pts/3 115200 10.99.0.2 10.99.0.1 work';
    await this.run(`env -i PPPD_PID=4711 /etc/ppp/${action}.d/00-00-ppp-routed ${words}`);
  }

  async #startDaemon(): Promise<void> {
    const daemon = runInside(this.#holder, [
      ...['setpriv', '--pdeathsig', 'KILL'],
      ...['/usr/bin/node', '/usr/lib/ppp-routed/ppp-routed.js'],
    ]);
    this.#log = '';
    daemon.all?.on('data', chunk => {
      this.#log += chunk;
    });
    this.#daemon = daemon;
    for (let tries = 0; !this.#log.includes('ready: '); tries++) {
      if (tries === 400) throw new Error(`the daemon is not ready: ${this.#log}`);
      await sleep(25);
    }
  }

  async #isReady(): Promise<void> {
    const holder = this.#holder;
    await new Promise<void>((resolve, reject) => {
      holder.stdout?.once('data', () => resolve());
      void holder.then(({ stderr, shortMessage }) => reject(new Error(`${shortMessage}: ${stderr}`)));
    });
  }
}

function runInside({ pid }: ReturnType<typeof hold>, argv: string[]) {
  return execa('nsenter', [...enter, '--target', String(pid), '--', ...argv], {
    extendEnv: false,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', NO_COLOR: '1' },
    stdin: 'ignore',
    reject: false,
    all: true,
  });
}

/** A process whose namespaces and root directory are the machine. Lives as long as its input. */
function hold(directory: string) {
  const script = `
    mount --rbind / "$1/host"
    mount -t sysfs sysfs "$1/sys"
    ip link set lo up
    ip link add wlp2s0 type veth peer name router
    ip link set wlp2s0 addrgenmode none
    ip link set router addrgenmode none
    ip link set router up
    ip link set wlp2s0 up
    ip address add 192.168.1.100/24 dev wlp2s0
    ip route add default via 192.168.1.1 dev wlp2s0 metric 302
    exec chroot "$1" /bin/sh -c 'echo ready; exec cat'`;
  return execa('unshare', [...isolate, '/bin/sh', '-euc', script, 'sh', directory], {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    stdin: 'pipe',
    reject: false,
  });
}

/** Lets what the real root directory has appear beside what is there: a link for each name that is missing. */
async function showBeside(directory: string, path: string): Promise<void> {
  const here = new Map((await entriesOf(join(directory, path))).map(entry => [entry.name, entry]));
  for (const { name } of await entriesOf(path)) {
    const inner = join(path, name);
    const entry = here.get(name);
    if (entry === undefined) await symlink(join('/host', inner), join(directory, inner));
    else if (entry.isDirectory() && !hidden.has(inner)) await showBeside(directory, inner);
  }
}

/** The machine's own, whatever the real one has there. */
const hidden = new Set(['/sys', '/etc/ppp', '/etc/ppp-routed', '/usr/lib/ppp-routed']);

async function entriesOf(path: string) {
  return readdir(path, { withFileTypes: true }).catch(() => []);
}
