// A network and a mount namespace of the real kernel, and ways to run commands in it.
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { execa, execaSync } from 'execa';

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Root needs no user namespace, and on some machines may not have one. */
const isRoot = process.getuid?.() === 0;
const unshare = ['unshare', ...(isRoot ? [] : ['--user', '--map-root-user']), '--net', '--mount'];
const nsenter = ['nsenter', ...(isRoot ? [] : ['--user', '--preserve-credentials']), '--net', '--mount'];

/**
 * sysfs shows the devices of the namespace it was mounted in. Without link-local addresses nothing in the IPv6 tables
 * moves by itself. Then it takes commands until its input ends.
 */
const prepare = `
mount -t sysfs sysfs /sys
echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode
ip link set lo up
exec /bin/sh
`;

/** Why no namespace can be made on this machine; false if one can. */
export function findObstacle(): string | false {
  if (!existsSync('/proc/self/ns/net')) return 'there are no network namespaces here';
  const [command = '', ...words] = [...unshare, '/bin/sh', '-euc', prepare];
  const env = { PATH, LC_ALL: 'C' };
  const { failed, stderr, shortMessage } = execaSync(command, words, { reject: false, env, input: '' });
  if (!failed) return false;
  const whom = isRoot ? 'root' : 'ordinary users';
  return `this kernel forbids user, network or mount namespaces to ${whom}: ${stderr || shortMessage}`;
}

export class Namespace {
  readonly #shell = openShell();
  readonly #lines: AsyncIterator<string>;
  #turn: Promise<unknown> = Promise.resolve();

  constructor() {
    this.#lines = createInterface({ input: this.#shell.stdout })[Symbol.asyncIterator]();
  }

  /** Runs a command and returns what it printed; it may not fail. One shell for all of them: a fork takes a millisecond. */
  run(...argv: string[]): Promise<string> {
    const printed = this.#turn.then(() => this.#ask(argv));
    this.#turn = printed.catch(() => undefined);
    return printed;
  }

  /**
   * Starts a command as a process of its own, with that environment and no other: tap gives every process that a test starts
   * more, and has a daemon of node's load and keep what it has nowhere else.
   */
  start(argv: string[], environment: Record<string, string> = {}) {
    const variables = Object.entries({ PATH, ...environment }).map(pair => pair.join('='));
    const [command, words] = this.command(['env', '-i', ...variables, ...argv]);
    return execa(command, words, { extendEnv: false, env: { PATH }, reject: false });
  }

  /** The command that runs this one in here. */
  command(argv: string[]): [string, string[]] {
    const [command = '', ...words] = [...nsenter, '--target', String(this.#shell.pid), '--', ...argv];
    return [command, words];
  }

  async close(): Promise<void> {
    this.#shell.stdin.end();
    await this.#shell;
  }

  async #ask(argv: string[]): Promise<string> {
    // What was printed may have no newline at its end; what is complained of comes last.
    const quoted = argv.map(word => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
    this.#shell.stdin.write(
      `complaint=$( { ${quoted}; } 3>&1 >&4 2>&3 ); printf '\\n%s %s\\n%s\\n%s\\n' ${end} $? "$complaint" ${end}\n`,
    );
    const output = await this.#readUntil(line => line.startsWith(end));
    const status = output.pop()?.slice(end.length + 1);
    const complaint = (await this.#readUntil(line => line === end)).slice(0, -1).join('\n');
    if (status !== '0') throw new Error(`${argv.join(' ')}: exit status ${status}: ${complaint}`);
    return output.join('\n').replace(/\n$/, '');
  }

  async #readUntil(isLast: (line: string) => boolean): Promise<string[]> {
    const lines: string[] = [];
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done === true) throw new Error(`the namespace's shell ended: ${(await this.#shell).stderr}`);
      lines.push(value);
      if (isLast(value)) return lines;
    }
  }
}

/** A process in the namespace. */
export type Started = ReturnType<Namespace['start']>;

/** Follows the output of every command. */
const end = '--end--';

function openShell() {
  const [command = '', ...words] = [...unshare, '/bin/sh', '-euc', prepare];
  const shell = execa(command, words, {
    stdin: 'pipe',
    buffer: { stdout: false },
    reject: false,
    cwd: '/',
    extendEnv: false,
    env: { PATH, LC_ALL: 'C' },
  });
  shell.stdin.write('exec 4>&1\n');
  return shell;
}
