// The real hooks, run in every way and with those of version 1, against the real daemon in every state it can be in.
import { mkdir, readdir, readFile } from 'node:fs/promises';
import net from 'node:net';
import { join } from 'node:path';
import { commandOf, hooksDirectory, type Way, ways } from '../hooks/fixtures/hook.ts';
import { type Lab, linesOf, scenario } from '../netns/lab.ts';
import { sayFigures } from './figure.ts';
import { Service } from './service.ts';

/** One hook of the matrix, with an interface of its own. */
interface Combination {
  about: string;
  /** What pppd is told to run. */
  command: string[];
  name: string;
  network: string;
}

const version1 = join(import.meta.dirname, '../hooks/fixtures/version-1/ip-up');
const combinations: Combination[] = [
  ...(Object.keys(ways) as Way[]).map(way => ({
    about: way,
    command: [...commandOf(way), join(hooksDirectory, 'ip-up')],
  })),
  // A hook is a file that outlives an upgrade.
  { about: 'a hook of version 1', command: [version1] },
].map((one, unit) => ({ ...one, name: `ppp${unit}`, network: `198.18.${unit}.0/24` }));

const profiles = combinations
  .map(({ name, network }) => `[link.${name}]\nserver = "none"\nnetworks = ["${network}"]\n`)
  .join('');

/** A state that hooks find the daemon in. */
interface State {
  /** Does a hook get an answer? */
  answers: boolean;
  /** How long a hook waits at least, in seconds. */
  waits: number;
  /** Brings the daemon into the state; returns what brings it out. */
  enter(lab: Lab): Promise<() => Promise<void>>;
}

const states: Record<string, State> = {
  answering: {
    answers: true,
    waits: 0,
    enter: async lab => {
      await lab.startDaemon();
      return async () => {};
    },
  },
  hung: {
    answers: false,
    waits: 1.8,
    enter: async lab => {
      await hang(lab);
      return async () => void process.kill(daemonOf(lab), 'SIGCONT');
    },
  },
  'dead, with sockets that outlive it': {
    answers: false,
    waits: 1.8,
    enter: async lab => {
      const service = new Service(lab, 'activated');
      await service.listening();
      return async () => service.start();
    },
  },
  'hung, with a full backlog': {
    answers: false,
    waits: 1.8,
    enter: async lab => {
      await hang(lab);
      const waiting = await fillBacklog(join(lab.directory, 'run/hook.sock'));
      return async () => {
        for (const socket of waiting) socket.destroy();
        process.kill(daemonOf(lab), 'SIGCONT');
      };
    },
  },
  'dead, with a stale socket': {
    answers: false,
    waits: 0,
    enter: async lab => {
      await lab.startDaemon();
      await lab.stopDaemon('SIGKILL');
      return () => lab.startDaemon();
    },
  },
  absent: { answers: false, waits: 0, enter: async lab => () => lab.startDaemon() },
};

for (const [what, state] of Object.entries(states)) {
  scenario(`the daemon is ${what}`, async (lab, t) => {
    await lab.machine({ profiles, daemon: false });
    for (const { name } of combinations) await lab.connect(name);
    await mkdir(join(lab.directory, 'run/spool'));
    const leave = await state.enter(lab);
    const before = await routes(lab);

    const took = await all(async combination => {
      const { about } = combination;
      const { exitCode, stdout, stderr, seconds } = await runHook(lab, combination);
      t.same({ exitCode, stdout, stderr }, { exitCode: 0, stdout: '', stderr: '' }, about);
      t.ok(seconds <= 3, `${about}: took ${seconds} s`);
      t.ok(seconds >= state.waits, `${about}: gave up after ${seconds} s`);
      return seconds;
    });
    const spooled = state.answers ? [] : combinations.map(({ name }) => name).sort();
    t.same(await interfacesInSpool(lab), spooled, 'in the spool');
    const routed = networksOf(await routes(lab));
    if (state.answers)
      t.ok(
        combinations.every(({ network }) => routed.has(network)),
        'what was answered is routed',
      );
    else t.same(await routes(lab), before, 'nothing moved');

    const taken = await readdir(join(lab.directory, 'run/spool/.taken')).catch((): string[] => []);
    const inSpool = taken.length + (await interfacesInSpool(lab)).length;
    t.equal(inSpool, spooled.length, 'no other went through the spool');

    await leave();
    const missing = async () => {
      const here = networksOf(await routes(lab));
      return combinations.filter(({ network }) => !here.has(network));
    };
    const isDone = async () => (await missing()).length + (await interfacesInSpool(lab)).length === 0;
    await lab.until(isDone, 20_000).catch(() => undefined);
    t.same(await missing(), [], 'every event has been applied');
    t.same(await interfacesInSpool(lab), [], 'the spool is empty');
    sayFigures(t, `hooks ${what.replaceAll(/\W+/g, '-')}`, {
      hooks: combinations.length,
      answered: combinations.length - inSpool,
      spooled: inSpool,
      lost: (await missing()).length,
      'slowest-s': Math.max(...took).toFixed(2),
    });
  });
}

const mounts = {
  'a full disk': 'size=4k',
  'a disk without room for another file': 'size=64k,nr_inodes=16',
  'a read-only run directory': 'size=64k',
};
for (const [what, options] of Object.entries(mounts)) {
  for (const [whose, start] of [
    ['no daemon', async () => undefined],
    ['a hung daemon', hang],
  ] as const) {
    scenario(`${what}, ${whose}: a line in syslog`, async (lab, t) => {
      await lab.machine({ profiles, daemon: false });
      const run = join(lab.directory, 'run');
      await lab.run('mount', '-t', 'tmpfs', '-o', options, 'none', run);
      await start(lab);
      await lab.run('mkdir', '-p', `${run}/spool`);
      // All of the disk, or every inode.
      const fill = `cat /dev/zero >${run}/full; for n in $(seq 20); do true >${run}/$n; done`;
      if (!what.includes('read-only')) await lab.run('/bin/sh', '-c', `{ ${fill}; } 2>/dev/null || true`);
      if (what.includes('read-only')) await lab.run('mount', '-o', 'remount,ro', run);
      const syslog = await openSyslog(lab);
      const lost = `lost an ip-up event: no answer from ${run}/hook.sock, and cannot write to ${run}/spool; is ppp-routed installed and running?`;
      const took = await all(async combination => {
        const { about } = combination;
        const { exitCode, stderr, seconds } = await runHook(lab, combination);
        t.same({ exitCode, stderr }, { exitCode: 0, stderr: `ppp-routed: ${lost}` }, about);
        t.ok(seconds <= 3, `${about}: took ${seconds} s`);
        return seconds;
      });
      const said = () =>
        syslog().filter(line => line.startsWith('<28>') && line.endsWith(`ppp-routed: ${lost}`));
      await lab.until(() => said().length === combinations.length, 5000).catch(() => undefined);
      t.equal(said().length, combinations.length, 'a line in syslog for each');
      t.same(syslog(), said(), 'and no other');
      sayFigures(t, `hooks ${`${what} ${whose}`.replaceAll(/\W+/g, '-')}`, {
        hooks: combinations.length,
        'said-in-syslog': said().length,
        'slowest-s': Math.max(...took).toFixed(2),
      });
    });
  }
}

/** Does it for every combination at once, because a hook that waits sleeps. */
function all<T>(run: (combination: Combination) => Promise<T>): Promise<T[]> {
  return Promise.all(combinations.map(run));
}

/** Runs ip-up as pppd does, in the lab. */
async function runHook(lab: Lab, { command, name }: Combination) {
  const environment = { RUNTIME_DIRECTORY: join(lab.directory, 'run'), IFNAME: name };
  const started = performance.now();
  const { exitCode, stdout, stderr } = await lab.start([
    ...['env', '-i', ...Object.entries(environment).map(pair => pair.join('='))],
    ...[...command, name, '/dev/pts/3', '115200', '10.99.0.2', '10.99.0.1', name],
  ]);
  return { exitCode, stdout, stderr, seconds: (performance.now() - started) / 1000 };
}

async function hang(lab: Lab): Promise<void> {
  await lab.startDaemon();
  process.kill(daemonOf(lab), 'SIGSTOP');
}

/** Connects until the listener takes no more. */
async function fillBacklog(path: string): Promise<net.Socket[]> {
  const waiting: net.Socket[] = [];
  for (;;) {
    const socket = net.connect(path);
    const error = await new Promise<NodeJS.ErrnoException | undefined>(resolve => {
      socket.once('connect', () => resolve(undefined));
      socket.once('error', resolve);
    });
    if (error !== undefined) {
      if (error.code !== 'EAGAIN') throw error;
      return waiting;
    }
    socket.on('error', () => undefined);
    waiting.push(socket);
  }
}

function daemonOf(lab: Lab): number {
  if (lab.daemonPid === undefined) throw new Error('no daemon runs');
  return lab.daemonPid;
}

function networksOf(lines: readonly string[]): Set<string> {
  return new Set(lines.flatMap(line => line.split(' ')[0] ?? []));
}

async function routes(lab: Lab): Promise<string[]> {
  return lab.lines('route show proto 173');
}

/** The interfaces of the events that wait, in the order of their names. */
async function interfacesInSpool(lab: Lab): Promise<string[]> {
  const spool = join(lab.directory, 'run/spool');
  const names = (await readdir(spool)).filter(name => /^\d{10}$/.test(name));
  const texts = await Promise.all(names.map(name => readFile(join(spool, name), 'utf8').catch(() => '')));
  return texts.flatMap(text => /^interface=(.*)$/m.exec(text)?.[1] ?? []).sort();
}

/** A syslog at /dev/log, where the lab's own /dev has one. Returns the messages that have come. */
async function openSyslog(lab: Lab): Promise<() => string[]> {
  const real = join(lab.directory, 'dev');
  await lab.run(
    '/bin/sh',
    '-euc',
    `mkdir ${real}; mount --rbind /dev ${real}; mount -t tmpfs none /dev
    for name in null zero urandom; do : >/dev/$name; mount --bind ${real}/$name /dev/$name; done`,
  );
  const receiver = lab.start(['socat', '-u', 'UNIX-RECV:/dev/log', 'STDOUT']);
  let text = '';
  receiver.stdout.on('data', chunk => {
    // A datagram has no newline at its end.
    text += `${chunk}\n`;
  });
  await lab.until(async () => (await lab.run('ls', '/dev')).includes('log'));
  return () => linesOf(text.replaceAll('<28>', '\n<28>'));
}
