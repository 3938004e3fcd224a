// The four files themselves: one text, sound shell, and what a call costs.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { startDaemon } from './fixtures/daemon.ts';
import {
  hookEnvironment,
  hooksDirectory,
  machine,
  plainEvent,
  pppdArguments,
  readSpool,
  runHook,
  type Shell,
  shellCommand,
  tool,
} from './fixtures/hook.ts';

const events = ['ip-up', 'ip-down', 'ipv6-up', 'ipv6-down'] as const;

t.test('the four hooks differ in the line that names the event, and only there', async t => {
  const wanted = await readFile(join(hooksDirectory, 'ip-up'), 'utf8');
  for (const event of events) {
    const text = await readFile(join(hooksDirectory, event), 'utf8');
    const same = text === wanted.replace(/^event=ip-up$/m, `event=${event}`);
    t.ok(same, `to make it so: sed 's/^event=ip-up$/event=${event}/' hooks/ip-up > hooks/${event}`);
  }
});

t.test('the hooks are executable, here and in git', async t => {
  for (const event of events) t.equal((await stat(join(hooksDirectory, event))).mode & 0o777, 0o755);
  const git = await execa('git', ['-c', 'safe.directory=*', 'ls-files', '--stage', '.'], {
    cwd: hooksDirectory,
    reject: false,
  });
  if (git.failed) return t.comment(`not a git checkout: ${git.stderr}`);
  t.equal(
    git.stdout.split('\n').filter(line => /^100755 .*\tip(v6)?-(up|down)$/.test(line)).length,
    4,
    git.stdout,
  );
});

t.test('shellcheck has nothing to say', async t => {
  const files = events.map(event => join(hooksDirectory, event));
  const { stdout, exitCode } = await execa(tool('shellcheck'), ['-s', 'sh', ...files], { reject: false });
  t.equal(stdout, '');
  t.equal(exitCode, 0);
});

t.test('a hook installed under any name, alone, tells its own event', async t => {
  const here = await machine(t);
  const result = await execa(
    '/bin/sh',
    ['-c', 'exec "$@" 9<"$HOOK"', 'sh', tool('dash'), '/dev/fd/9', ...pppdArguments],
    {
      extendEnv: false,
      env: { ...hookEnvironment(here), HOOK: join(hooksDirectory, 'ipv6-down') },
      reject: false,
    },
  );
  t.equal(result.exitCode, 0);
  t.match((await readSpool(here))['0000000001'], 'event=ipv6-down\n');
});

// bash forks once more: it does not become the last command of a substitution that has a here-document.
const forks: Record<Shell, number> = { dash: 2, 'busybox sh': 2, 'bash --posix': 3 };
for (const [shell, allowed] of Object.entries(forks) as [Shell, number][]) {
  t.test(`${shell}: an answered event costs ${allowed} forks, for timeout and nc`, async t => {
    const here = await machine(t, ['timeout', 'nc=nc.openbsd']);
    const daemon = await startDaemon('answers ok', here.runtime);
    t.teardown(daemon.stop);
    const trace = join(here.peers, 'trace');
    const calls = 'trace=fork,vfork,clone,clone3,execve';
    const hook = [...shellCommand(shell), join(hooksDirectory, 'ip-up'), ...pppdArguments];
    const { stderr } = await execa(tool('strace'), ['-f', '-e', calls, '-o', trace, ...hook], {
      extendEnv: false,
      env: hookEnvironment(here),
    });
    t.equal(stderr, '');
    t.strictSame(daemon.received, [plainEvent]);
    const lines = (await readFile(trace, 'utf8')).split('\n');
    t.equal(lines.filter(line => /execve.* = 0$/.test(line)).length, 3, 'the shell, timeout, nc');
    t.equal(lines.filter(line => / \+\+\+ exited with /.test(line)).length, allowed + 1);
  });
}

t.test('a hook that is answered takes no time of its own', async t => {
  const here = await machine(t, ['timeout', 'nc=nc.openbsd']);
  const daemon = await startDaemon('answers ok', here.runtime);
  t.teardown(daemon.stop);
  const seconds: number[] = [];
  for (let round = 0; round < 10; round++) seconds.push((await runHook(here)).seconds);
  // Measured: 0.005 s. A poll or a sleep in the hook would be far above.
  t.ok((seconds.sort((a, b) => a - b)[5] ?? 1) < 0.1, `median ${seconds[5]} s`);
});
