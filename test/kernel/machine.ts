// A machine of its own, the kernel's tables on it as processes read them that remember nothing, and an `ip` for the
// daemon's own code that works there.
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Observed } from '../../src/core/route/observed.ts';
import type { Reading } from '../../src/kernel/tables.ts';
import { findObstacle, Namespace } from '../netns/namespace.ts';

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const obstacle = findObstacle();

/** A test on a machine of its own. Where none can be made it is skipped, but never in CI. */
export function onMachine(
  t: Test,
  { name, timeout = 120_000 }: { name: string; timeout?: number },
  story: (machine: Machine, t: Test) => Promise<void>,
): void {
  void t.test(name, { buffered: true, timeout, skip: !process.env.CI && obstacle }, async t => {
    if (obstacle) throw new Error(`this tier has to run in CI: ${obstacle}`);
    const machine = await Machine.open();
    t.teardown(() => machine.close());
    await story(machine, t);
  });
}

/** Always up, and nobody else's: `ip link set dev echo0 group default` changes nothing and is announced. */
export const echoDevice = 'echo0';

const dumps = {
  inet: [
    'link show',
    'address show',
    'route show table all',
    'rule show',
    'neigh show proxy',
    'netconf show',
  ],
  inet6: ['address show', 'route show table all', 'rule show', 'neigh show proxy'],
} as const;

export class Machine {
  readonly #namespace = new Namespace();
  readonly directory: string;

  static async open(): Promise<Machine> {
    const directory = await mkdtemp(join(tmpdir(), 'kernel-'));
    const machine = new Machine(directory);
    await machine.#prepare();
    return machine;
  }

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** Runs `ip` with these words; it may not fail. */
  ip(words: string): Promise<string> {
    return this.run('ip', ...words.split(/\s+/).filter(Boolean));
  }

  run(...argv: string[]): Promise<string> {
    return this.#namespace.run(...argv);
  }

  /** Runs commands in the order given, whether they are refused or not, makes the echo device heard, and reads all tables. */
  async step(commands: readonly string[]): Promise<{ reading: Reading; refused: number }> {
    const script = [
      ...commands.map(command => `{ ${command}; } >/dev/null 2>&1 || echo refused`),
      `ip link set dev ${echoDevice} group default`,
      ...['inet', 'inet6'].map(family => `ip -f ${family} -o -batch ${join(this.directory, family)}`),
    ];
    const lines = (await this.run('/bin/sh', '-c', script.join('\n'))).split('\n');
    const refused = lines.filter(line => line === 'refused').length;
    return { reading: readingOf(lines.slice(refused)), refused };
  }

  /**
   * The environment of the daemon's own code, as far as `ip` is concerned. `wrap` is a line of the shell that runs "$@" in
   * another way: "$@" is an `ip` on this machine with its arguments.
   */
  async environment(wrap = 'exec "$@"'): Promise<NodeJS.ProcessEnv> {
    // Killed or not, it takes nothing with it that goes on for ever.
    const argv = this.#namespace.command(['setpriv', '--pdeathsig', 'KILL', 'ip']).flat();
    const file = join(this.directory, 'ip');
    await writeFile(file, `#!/bin/sh\nPATH=${path}\nset -- ${argv.join(' ')} "$@"\n${wrap}\n`);
    await chmod(file, 0o755);
    return { PATH: `${this.directory}:${path}` };
  }

  async close(): Promise<void> {
    await this.#namespace.close();
    await rm(this.directory, { recursive: true, force: true });
  }

  async #prepare(): Promise<void> {
    for (const [family, commands] of Object.entries(dumps)) {
      const text = commands.map(command => `${command}\nlink show dev ${echoDevice}\n`).join('');
      await writeFile(join(this.directory, family), text);
    }
    await this.ip(`link add ${echoDevice} type bridge`);
    await this.run('/bin/sh', '-c', `echo 1 >/proc/sys/net/ipv6/conf/${echoDevice}/disable_ipv6`);
    await this.ip(`link set ${echoDevice} up`);
  }
}

/** The answers to `dumps`, each ended by the line of the echo device, which is once in the list of links itself. */
function readingOf(lines: readonly string[]): Reading {
  const isMark = (line: string) => line.includes(`: ${echoDevice}: <`);
  const answers: string[][] = [[]];
  let isInLinks = true;
  for (const line of lines) {
    if (!isMark(line)) answers.at(-1)?.push(line);
    else if (isInLinks) {
      answers.at(-1)?.push(line);
      isInLinks = false;
    } else answers.push([]);
  }
  const [links = [], addresses4 = [], routes4 = [], rules4 = [], proxies4 = [], , ...inet6] = answers;
  const [addresses6 = [], routes6 = [], rules6 = [], proxies6 = []] = inet6;
  return {
    links,
    addresses: [...addresses4, ...addresses6],
    routes: { inet: routes4, inet6: routes6 },
    rules: { inet: rules4, inet6: rules6 },
    proxyNeighbours: { inet: proxies4, inet6: proxies6 },
  };
}

/** What is observed in lines to compare. Which destination comes first means nothing, the order of one's routes does. */
export function linesOf({ interfaces, addresses, routes, rules, proxyNeighbours }: Observed): string[] {
  const keyed = routes.map(route => ({ key: `${route.family} ${route.table} ${route.dst}`, route }));
  const inOrder = keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return [
    ...interfaces.map(({ ifindex, name, up }) => `link ${ifindex} ${name} ${up ? 'up' : 'down'}`).sort(),
    ...addresses
      .map(
        ({ dev, family, address, peer, length }) =>
          `address ${family} ${dev} ${address} ${peer ?? '-'} ${length}`,
      )
      .sort(),
    ...inOrder.map(({ route }) => `route ${route.family} ${route.line}`),
    ...rules.map(
      ({ family, priority, selector, protocol }) => `rule ${family} ${priority} ${selector} ${protocol}`,
    ),
    ...proxyNeighbours.map(({ family, address, dev }) => `proxy ${family} ${address} ${dev}`).sort(),
  ];
}
