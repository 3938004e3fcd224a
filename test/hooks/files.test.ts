// The files themselves: short, one text, found under any name, and what a call costs.
import { chmod, copyFile, cp, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { execa } from 'execa';
import t, { type Test } from 'tap';
import { startDaemon } from './fixtures/daemon.ts';
import {
  type Call,
  commandOf,
  hookEnvironment,
  hooksDirectory,
  type Machine,
  machine,
  plainEvent,
  pppdArguments,
  readSpool,
  runHook,
  tool,
  type Way,
  ways,
} from './fixtures/hook.ts';

const events = ['ip-up', 'ip-down', 'ipv6-up', 'ipv6-down'] as const;
const loaded = ['report', 'exchange', 'spool', 'transport'];

t.test('the hooks differ in the line that names the event, and only there', async t => {
  const wanted = await readFile(join(hooksDirectory, 'ip-up'), 'utf8');
  for (const event of events) {
    const text = await readFile(join(hooksDirectory, event), 'utf8');
    const same = text === wanted.replace(/^\$event = 'ip-up';/m, `$event = '${event}';`);
    t.ok(
      same,
      `to make it so: sed "s/^.event = 'ip-up'/\\$event = '${event}'/" hooks/ip-up > hooks/${event}`,
    );
  }
});

t.test('they are short', async t => {
  t.strictSame((await readdir(hooksDirectory)).sort(), [...events, ...loaded].sort());
  const lines = async (name: string) =>
    (await readFile(join(hooksDirectory, name), 'utf8')).split('\n').length - 1;
  for (const event of events) t.ok((await lines(event)) <= 10, event);
  const all = await Promise.all([...events, ...loaded].filter(name => name !== 'transport').map(lines));
  t.ok(all.reduce((sum, count) => sum + count) <= 250, `${all}`);
});

t.test('the hooks are executable, here and in git, and what they load is not', async t => {
  // A checkout under umask 002 has 0775.
  for (const event of events) t.equal((await stat(join(hooksDirectory, event))).mode & 0o755, 0o755);
  for (const name of loaded) t.equal((await stat(join(hooksDirectory, name))).mode & 0o111, 0);
  const git = await execa('git', ['-c', 'safe.directory=*', 'ls-files', '--stage', '.'], {
    cwd: hooksDirectory,
    reject: false,
  });
  if (git.failed) return t.comment(`not a git checkout: ${git.stderr}`);
  t.equal(
    git.stdout.split('\n').filter(line => line.startsWith('100755 ')).length,
    events.length,
    git.stdout,
  );
});

t.test('Perl has nothing to say, and loads no module', async t => {
  for (const name of [...events, ...loaded]) {
    const file = join(hooksDirectory, name);
    const { stderr } = await execa(tool('perl'), ['-c', file], { extendEnv: false });
    t.equal(stderr, `${file} syntax OK`);
    t.notMatch(await readFile(file, 'utf8'), /^\s*(?:use|require)\b/m);
  }
});

// Where the hook is, and how it is called there.
const places: Record<string, (here: Machine) => Promise<Call>> = {
  'the checkout, by a relative path': async () => ({
    hook: 'hooks/ipv6-down',
    cwd: join(hooksDirectory, '..'),
  }),
  'the checkout, by its name alone': async () => ({ hook: './ipv6-down', cwd: hooksDirectory }),
  'a copy of the directory, under another name': async here => {
    await cp(hooksDirectory, join(here.root, 'copy'), { recursive: true });
    await copyFile(join(here.root, 'copy/ipv6-down'), join(here.root, 'copy/00 ppp.sh'));
    return { hook: join(here.root, 'copy/00 ppp.sh') };
  },
  'a symlink': async here => {
    await symlink(join(hooksDirectory, 'ipv6-down'), join(here.root, '00-ppp'));
    return { hook: join(here.root, '00-ppp') };
  },
  'a relative symlink to a symlink': async here => {
    await mkdir(join(here.root, 'a'));
    await symlink(relative(here.root, join(hooksDirectory, 'ipv6-down')), join(here.root, 'b'));
    await symlink('../b', join(here.root, 'a/ip-up'));
    return { hook: 'a/ip-up', cwd: here.root };
  },
  'a descriptor': async () => ({
    through: ['/bin/sh', '-c', `exec "$@" 9<'${join(hooksDirectory, 'ipv6-down')}'`, 'sh'],
    hook: '/dev/fd/9',
  }),
  'alone, with the reporter installed': async here => {
    await cp(hooksDirectory, join(here.root, 'lib'), { recursive: true });
    return { hook: await placeAlone(here, join(here.root, 'lib/')) };
  },
  "alone beside somebody else's file named report": async here => {
    await cp(hooksDirectory, join(here.root, 'lib'), { recursive: true });
    const hook = await placeAlone(here, join(here.root, 'lib/'));
    await writeFile(join(here.root, 'ip-up.d/report'), 'print "not ours"');
    return { hook };
  },
};
for (const [what, place] of Object.entries(places)) {
  t.test(`found and told as what it is: ${what}`, async t => {
    for (const way of Object.keys(ways) as Way[]) {
      // A shell has no $0 of a file that it was given as a descriptor: perl opens the same.
      const here = await machine(t);
      const { exitCode, stdout, stderr } = await runHook(here, {
        ...(await place(here)),
        way,
        arguments: ['lo', '', '', 'fe80::2', 'fe80::1', ''],
      });
      t.same({ exitCode, stdout, stderr }, { exitCode: 0, stdout: '', stderr: '' }, way);
      t.match((await readSpool(here))['0000000001'], 'event=ipv6-down\n', way);
    }
  });
}

t.test('a hook that outlives its package is silent', async t => {
  for (const beside of [[], ['report'], ['transport']])
    for (const way of Object.keys(ways) as Way[]) {
      const here = await machine(t);
      const hook = await placeAlone(here, join(here.root, 'gone/'));
      for (const name of beside) await writeFile(join(here.root, 'ip-up.d', name), 'print "not ours"');
      const { exitCode, stdout, stderr } = await runHook(here, { way, hook });
      t.same({ exitCode, stdout, stderr }, { exitCode: 0, stdout: '', stderr: '' }, `${way} ${beside}`);
      t.strictSame(await readSpool(here), {});
    }
});

t.test('a reporter that is damaged is complained of', async t => {
  const here = await machine(t);
  await cp(hooksDirectory, join(here.root, 'lib'), { recursive: true });
  await writeFile(join(here.root, 'lib/report'), 'die "half a file";');
  const { exitCode, stderr } = await runHook(here, { hook: join(here.root, 'lib/ip-up') });
  t.equal(exitCode, 0);
  t.match(stderr, /^ppp-routed: .*lib\/report: half a file/);
});

t.test('a transport or spool that is damaged takes no answer away', async t => {
  const here = await machine(t);
  await cp(hooksDirectory, join(here.root, 'lib'), { recursive: true });
  for (const name of ['transport', 'spool']) await writeFile(join(here.root, 'lib', name), 'die');
  const daemon = await startDaemon('asks, then answers ok', here.runtime);
  t.teardown(daemon.stop);
  const { exitCode, stderr } = await runHook(here, { hook: join(here.root, 'lib/ip-up') });
  t.same({ exitCode, stderr }, { exitCode: 0, stderr: '' });
  t.strictSame(daemon.received, [`${plainEvent}\n`]);
});

for (const way of Object.keys(ways) as Way[]) {
  t.test(`${way}: an answered event starts nothing beside Perl, and loads the reporter only`, async t => {
    const { programs, opened } = await trace(t, way);
    t.strictSame(programs.slice(-1), ['/usr/bin/perl']);
    t.equal(programs.length, commandOf(way).length > 0 ? 2 : 1);
    const ours = opened.filter(path => path.startsWith(hooksDirectory));
    t.strictSame([...new Set(ours)].sort(), [join(hooksDirectory, 'ip-up'), join(hooksDirectory, 'report')]);
    t.strictSame(
      opened.filter(path => path.endsWith('.pm')),
      [],
    );
  });
}

t.test('a hook that is answered takes no time of its own', async t => {
  const here = await machine(t);
  const daemon = await startDaemon('answers ok', here.runtime);
  t.teardown(daemon.stop);
  const seconds: number[] = [];
  for (let round = 0; round < 10; round++) seconds.push((await runHook(here)).seconds);
  // Measured: 0.004 s. A poll or a sleep in the hook would be far above.
  t.ok((seconds.sort((a, b) => a - b)[5] ?? 1) < 0.1, `median ${seconds[5]} s`);
});

/** A copy of a hook in a directory of others, which looks for the installed reporter in `installed`. Returns its path. */
async function placeAlone(here: Machine, installed: string): Promise<string> {
  const text = await readFile(join(hooksDirectory, 'ipv6-down'), 'utf8');
  const moved = text.replace("'/usr/lib/ppp-routed/'", `'${installed}'`);
  if (moved === text) throw new Error('the hook does not name /usr/lib/ppp-routed/');
  await mkdir(join(here.root, 'ip-up.d'));
  const path = join(here.root, 'ip-up.d/00-00-ppp-routed');
  await writeFile(path, moved);
  await chmod(path, 0o755);
  return path;
}

/** The programs that an answered event executes, and the files that are opened for it, in their order. */
async function trace(t: Test, way: Way): Promise<{ programs: string[]; opened: string[] }> {
  const here = await machine(t);
  const daemon = await startDaemon('answers ok', here.runtime);
  t.teardown(daemon.stop);
  const path = join(here.root, 'trace');
  const calls = 'trace=fork,vfork,clone,clone3,execve,open,openat';
  const hook = [...commandOf(way), join(hooksDirectory, 'ip-up'), ...pppdArguments];
  const { stderr } = await execa(tool('strace'), ['-f', '-e', calls, '-o', path, ...hook], {
    extendEnv: false,
    env: hookEnvironment(here),
  });
  t.equal(stderr, '');
  t.strictSame(daemon.received, [plainEvent]);
  const lines = (await readFile(path, 'utf8')).split('\n');
  t.equal(lines.filter(line => / \+\+\+ exited with /.test(line)).length, 1, 'one process');
  const named = (call: RegExp) => lines.flatMap(line => call.exec(line)?.[1] ?? []);
  const programs = named(/ execve\("([^"]*)".* = 0$/).map(path =>
    path.startsWith(hooksDirectory) ? '/usr/bin/perl' : path,
  );
  return { programs, opened: named(/ open(?:at)?\((?:AT_FDCWD, )?"([^"]*)".* = \d+$/) };
}
