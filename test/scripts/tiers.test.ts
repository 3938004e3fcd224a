// A tier that cannot run here says why, and none of its tests fails.
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';

const project = join(import.meta.dirname, '../..');

t.test('programs that a tier calls are missing', async t => {
  const nowhere = await mkdtemp(join(tmpdir(), 'ppp-routed-tiers-'));
  t.teardown(() => execa('rm', ['-r', nowhere]));
  const run = (...environment: string[]) =>
    execa(
      'env',
      ['-i', `PATH=${nowhere}`, ...environment, process.execPath, 'scripts/test.mjs', 'hooks', 'netns'],
      {
        cwd: project,
        reject: false,
      },
    );
  const { stdout, exitCode } = await run();
  t.match(
    stdout,
    /^hooks +NOT RUN +bash, busybox, dash, perl, strace missing; on Debian: (sudo )?apt-get install bash busybox /m,
  );
  t.match(stdout, /^netns +NOT RUN +.*\bunshare\b.* missing/m);
  t.match(stdout, /^tests: 0 passed, 0 failed, 2 skipped /m);
  t.equal(exitCode, 0);
  t.equal((await run('CI=true')).exitCode, 1, 'where every tier must run it is a failure');
});
