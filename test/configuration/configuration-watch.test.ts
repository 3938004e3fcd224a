import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { watchConfiguration } from '../../src/configuration/configuration-watch.ts';

/** What was called, in its order. */
class Calls {
  readonly all: string[] = [];
  #called: () => void = () => undefined;

  call(what: string): void {
    this.all.push(what);
    this.#called();
  }

  /** Waits until so many calls have come. */
  async reach(count: number): Promise<void> {
    while (this.all.length < count)
      await new Promise<void>(resolve => {
        this.#called = resolve;
      });
  }
}

/** A directory with `srv/etc`, which is watched. */
async function watched(t: Test, prepare = ''): Promise<{ calls: Calls; run(commands: string): void }> {
  const directory = t.testdir();
  const run = (commands: string) =>
    void execFileSync('/bin/sh', ['-euc', commands], { cwd: directory, stdio: 'pipe' });
  mkdirSync(join(directory, 'srv/etc/links.d'), { recursive: true });
  for (const name of ['ppp-routed.toml', 'links.d/10.toml', 'links.d/note.txt'])
    writeFileSync(join(directory, 'srv/etc', name), '# first\n');
  run(prepare);
  const calls = new Calls();
  void watchConfiguration(join(directory, 'srv/etc'), {
    onChange: () => calls.call('change'),
    onWatching: () => calls.call('watching'),
  });
  await calls.reach(1);
  t.same(calls.all, ['watching']);
  return { calls, run };
}

const file = 'srv/etc/ppp-routed.toml';
const edit = `echo >>${file}`;

// The first, because what is watched below goes away with its directory.
t.test('at rest there is no timer', { timeout: 20_000 }, async t => {
  const timers = () => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length;
  const before = timers();
  // chokidar has one for a second after each reading of a directory.
  const rests = async () => {
    while (timers() > before) await sleep(50);
    await sleep(1500);
    return timers() === before;
  };
  const { calls, run } = await watched(t);
  t.ok(await rests());
  run(edit);
  await calls.reach(2);
  t.ok(await rests());
});

/** What is done, one change after the other; each is told. The last is an edit where nothing else is said. */
const changes: Record<string, { prepare?: string; steps: string[] }> = {
  'edited in place': { steps: [edit, edit, edit] },
  'replaced by another file': { steps: [`echo >new; mv new ${file}`, edit] },
  'deleted and made anew': { steps: [`rm ${file}`, `touch ${file}`, edit] },
  'a directory in its place': { steps: [`rm ${file}; mkdir ${file}`, `rmdir ${file}`, edit] },
  'links.d/ has another file': { steps: ['touch srv/etc/links.d/20.toml', 'echo >>srv/etc/links.d/20.toml'] },
  'links.d/ is edited': { steps: ['echo >>srv/etc/links.d/10.toml', 'rm srv/etc/links.d/10.toml'] },
  'links.d/ goes and comes': {
    steps: ['mv srv/etc/links.d .', 'mv links.d srv/etc', 'echo >>srv/etc/links.d/10.toml'],
  },
  'links.d/ becomes a file': {
    steps: [
      'rm -r srv/etc/links.d; echo >srv/etc/links.d',
      'rm srv/etc/links.d; mkdir srv/etc/links.d',
      'echo >srv/etc/links.d/1.toml',
    ],
  },
  'the directory is moved away and back': { steps: ['mv srv/etc away', 'mv away srv/etc', edit] },
  'the directory is away for a moment': { steps: ['mv srv/etc away; mv away srv/etc', edit] },
  'the directory is replaced': { steps: ['cp -a srv/etc copy; mv srv/etc away; mv copy srv/etc', edit] },
  'the directory is deleted and made anew': {
    steps: [
      'rm -r srv/etc',
      'mkdir srv/etc',
      `echo >${file}`,
      edit,
      'mkdir srv/etc/links.d',
      'touch srv/etc/links.d/1.toml',
    ],
  },
  'the directory becomes a file': {
    steps: ['mv srv/etc away; echo >srv/etc', 'rm srv/etc; mv away srv/etc', edit],
  },
  'what holds the directory is moved away and back': { steps: ['mv srv away', 'mv away srv', edit] },
  'what holds the directory is not there at first': {
    prepare: 'mv srv away',
    steps: ['mkdir srv', 'mkdir srv/etc', `touch ${file}`, edit, 'rm -r srv; mv away srv', edit],
  },
  'the directory is a symbolic link': {
    prepare: 'mv srv/etc one; cp -a one two; ln -s ../one srv/etc',
    steps: ['ln -sfn ../two srv/etc', edit, 'mv two away', 'mv away two', edit],
  },
  'the file is a symbolic link': {
    prepare: `mkdir one two; echo >one/x; echo >two/x; ln -sf ../../one/x ${file}`,
    steps: [
      'echo >>one/x',
      'echo >new; mv new one/x',
      `ln -sf ../../two/x ${file}`,
      'echo >>two/x',
      'rm two/x',
      'echo >two/x',
    ],
  },
  'links.d/ is mounted as Kubernetes does': {
    prepare:
      'cd srv/etc/links.d; mkdir ..1 ..2; echo >..1/k.toml; echo >..2/k.toml; ln -s ..1 ..data; ln -s ..data/k.toml k.toml',
    steps: ['cd srv/etc/links.d; ln -s ..2 ..new; mv -T ..new ..data', 'echo >>srv/etc/links.d/..2/k.toml'],
  },
  'links.d/ is the directory itself': {
    prepare: 'cd srv/etc; rm -r links.d; ln -s . links.d',
    steps: ['touch srv/etc/5.toml', edit, 'rm srv/etc/links.d'],
  },
  'the file is written to by another name': { prepare: `ln ${file} other`, steps: ['echo >>other', edit] },
};

for (const [what, { prepare, steps }] of Object.entries(changes)) {
  t.test(`told: ${what}`, { timeout: 20_000 }, async t => {
    const { calls, run } = await watched(t, prepare);
    for (const [at, step] of steps.entries()) {
      run(step);
      await calls.reach(at + 2);
    }
    t.same(calls.all, ['watching', ...steps.map(() => 'change')]);
  });
}

t.test(
  'told: what comes after a change in the very moment in which the watch begins',
  { timeout: 60_000 },
  async t => {
    const directory = t.testdir({ one: {}, two: {} });
    const link = join(directory, 'etc');
    for (let turns = 0; turns < 20; turns++) {
      rmSync(link, { force: true });
      symlinkSync('one', link);
      const calls = new Calls();
      const call = (what: string) => () => calls.call(what);
      void watchConfiguration(link, { onChange: call('change'), onWatching: call('watching') });
      for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
      const isBefore = calls.all.length === 0;
      rmSync(link);
      symlinkSync('two', link);
      await calls.reach(isBefore ? 1 : 2);
      // The change may have been heard as well.
      await sleep(150);
      const { length } = calls.all;
      writeFileSync(join(directory, 'two/ppp-routed.toml'), `# ${turns}\n`);
      await calls.reach(length + 1);
    }
  },
);

const noises: Record<string, string> = {
  'names beside the directory': 'touch srv/x; mkdir srv/y; rm srv/x; mv srv/y z',
  'names in it': 'touch srv/etc/x srv/etc/.ppp-routed.toml.swp srv/etc/x.toml; rm srv/etc/x',
  'names in links.d/':
    'echo >>srv/etc/links.d/note.txt; mkdir srv/etc/links.d/d; touch srv/etc/links.d/1.toml~',
  reading: `cat ${file} srv/etc/links.d/*; ls -R srv`,
};

for (const [what, noise] of Object.entries(noises)) {
  t.test(`not told: ${what}`, { timeout: 20_000 }, async t => {
    const { calls, run } = await watched(t);
    run(noise);
    // As long as it would take to settle.
    await sleep(300);
    run(edit);
    await calls.reach(2);
    await sleep(300);
    t.same(calls.all, ['watching', 'change'], 'the edit only');
  });
}

// A limit of its own needs a user namespace, which a container without privileges forbids; without one it would wait for ever.
const mayUnshare = spawnSync('unshare', ['--user', '--map-root-user', 'true']).status === 0;
t.test(
  'the kernel has no inotify watches left: nothing is told before there are',
  { timeout: 60_000, ...(mayUnshare ? {} : { skip: 'needs user namespaces' }) },
  async t => {
    const directory = t.testdir({ etc: { 'ppp-routed.toml': '' } });
    const script = join(import.meta.dirname, 'watcher.ts');
    const limit = '/proc/sys/user/max_inotify_watches';
    // A user namespace has limits of its own.
    const inside = `echo 2 >${limit}; "$0" "$@" & read -r _; echo 1000 >${limit}; wait`;
    const child = spawn('unshare', [
      ...['--user', '--map-root-user', '--', '/bin/sh', '-euc', inside],
      ...[process.execPath, ...process.execArgv, script, join(directory, 'etc')],
    ]);
    t.teardown(() => child.stdin.end());
    let told = '';
    child.stdout.on('data', chunk => {
      told += chunk;
    });
    const until = async (text: string) => {
      while (!told.includes(text)) await once(child.stdout, 'data');
    };
    await until('started\n');
    await sleep(1500);
    t.equal(told, 'started\n');
    child.stdin.write('\n');
    await until('watching\n');
    writeFileSync(join(directory, 'etc/ppp-routed.toml'), '# edited\n');
    await until('change\n');
    t.equal(told, 'started\nwatching\nchange\n');
  },
);

// What watches never ends.
t.teardown(() => setImmediate(() => process.exit()));
