// What tells the service manager cannot be started, hangs, or is not there: nobody waits, and the last word arrives.
import { existsSync } from 'node:fs';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { createNotify } from '../../src/systemd/notify.ts';

/** A systemd-notify of ours: what it was told is in `told`, a line each. */
async function fake(t: Test, script: string) {
  const directory = t.testdir({ told: '' });
  const path = join(directory, 'systemd-notify');
  await writeFile(path, `#!/bin/sh\n${script}\nshift; printf '%s\\n' "$@" >>${directory}/told\n`);
  await chmod(path, 0o755);
  const environment = { PATH: `${directory}:${process.env.PATH}`, NOTIFY_SOCKET: '/nonexistent' };
  const told = async () => (await readFile(join(directory, 'told'), 'utf8')).split('\n').filter(Boolean);
  const comesToTell = async (lines: string[]) => {
    for (let i = 0; i < 700 && (await told()).join() !== lines.join(); i++) await sleep(20);
    t.same(await told(), lines);
  };
  return { directory, environment, told, comesToTell };
}

t.test('in their order, and of one kind the last', async t => {
  const { environment, comesToTell } = await fake(t, 'sleep 0.2');
  const notify = createNotify(environment);
  notify('STATUS=first');
  for (let i = 0; i < 100; i++) notify(`STATUS=${i}`);
  notify('READY=1', 'STATUS=ready');
  notify('STATUS=last');
  await comesToTell(['STATUS=first', 'READY=1', 'STATUS=ready', 'STATUS=last']);
});

t.test('one that hangs is ended, and what it held up is told', { timeout: 20_000 }, async t => {
  const { directory, environment, comesToTell } = await fake(
    t,
    'cd $(dirname $0); if test ! -e once; then touch once; exec sleep 60; fi',
  );
  const notify = createNotify(environment);
  notify('READY=1');
  const once = join(directory, 'once');
  for (let i = 0; i < 250 && !existsSync(once); i++) await sleep(20);
  t.ok(existsSync(once), 'the first hangs');
  notify('STATUS=well');
  await comesToTell(['READY=1', 'STATUS=well']);
});

t.test('without a service manager nothing is started', async t => {
  const { environment, told } = await fake(t, '');
  createNotify({ ...environment, NOTIFY_SOCKET: '' })('READY=1');
  await sleep(200);
  t.same(await told(), []);
});

t.test('one that is not there, or that fails, is not asked again', async t => {
  const notify = createNotify({ PATH: '/nonexistent', NOTIFY_SOCKET: '/nonexistent' });
  notify('STATUS=x');
  const { directory, environment, told } = await fake(t, 'echo >>$(dirname $0)/tried; exit 1');
  createNotify(environment)('STATUS=x');
  for (let i = 0; i < 250 && !existsSync(join(directory, 'tried')); i++) await sleep(20);
  await sleep(500);
  t.equal(await readFile(join(directory, 'tried'), 'utf8'), '\n');
  t.same(await told(), []);
});
