// Events that nobody took: numbered, whole, readable by the daemon's group, and written nowhere else.
import { access, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import t from 'tap';
import { startDaemon } from './fixtures/daemon.ts';
import {
  addProgram,
  hookEnvironment,
  hooksDirectory,
  type Machine,
  machine,
  plainEvent,
  pppdArguments,
  readSpool,
  runHook,
  type Shell,
  shellCommand,
  shells,
  tool,
} from './fixtures/hook.ts';

t.jobs = 4;

for (const shell of Object.keys(shells) as Shell[]) {
  t.test(`${shell}: the group may read the file, others may not`, { buffered: true }, async t => {
    const here = await machine(t);
    await runHook(here, { shell }); // under pppd's umask of 077
    t.equal((await stat(join(here.runtime, 'spool/0000000001'))).mode & 0o777, 0o640);
  });

  const numbers: Record<string, { there: string[]; next: string }> = {
    'an empty spool': { there: [], next: '0000000001' },
    'digits that look octal': { there: ['0000000008', '0000000009'], next: '0000000010' },
    'a gap': { there: ['0000000003', '0000000120'], next: '0000000121' },
    zero: { there: ['0000000000'], next: '0000000001' },
    'the last that counts': { there: ['0000000003', '0999999999'], next: '1000000000' },
    'numbers that no hook takes': { there: ['0000000005', '1000000000', '9999999999'], next: '0000000006' },
    'no other': { there: ['9999999999'], next: '0000000001' },
    'names that are no numbers': {
      there: ['.0000000009', '99', '00000000050', 'x', 'rejected'],
      next: '0000000001',
    },
  };
  t.test(`${shell}: the number is one above the highest`, { buffered: true }, async t => {
    for (const [what, { there, next }] of Object.entries(numbers)) {
      const here = await machine(t);
      for (const name of there) await writeFile(join(here.runtime, 'spool', name), 'kept\n');
      const { exitCode } = await runHook(here, { shell });
      t.equal(exitCode, 0);
      const kept = Object.fromEntries(there.map(name => [name, 'kept\n']));
      t.strictSame(await readSpool(here), { ...kept, [next]: plainEvent }, what);
    }
  });

  t.test(`${shell}: no number that is there makes an event be lost`, { buffered: true }, async t => {
    for (const highest of ['0999999999', '9999999998', '9999999999']) {
      const here = await machine(t);
      await writeFile(join(here.runtime, 'spool', highest), 'kept\n');
      for (let n = 1; n <= 3; n++) t.equal((await runHook(here, { shell })).stderr, '', highest);
      const events = Object.entries(await readSpool(here)).filter(([name]) => name !== highest);
      t.strictSame(
        events.map(([name, text]) => [name.length, text]),
        Array.from({ length: 3 }, () => [10, plainEvent]),
      );
    }
  });

  t.test(
    `${shell}: 20 hooks at once take 20 numbers, and the next comes after all of them`,
    { buffered: true },
    async t => {
      const here = await machine(t);
      // Slow enough that all of them want the same number, and then the same again unless they part.
      await rm(join(here.bin, 'ln'));
      await addProgram(here, 'ln', `/bin/sleep 0.1; exec ${tool('ln')} "$@"`);
      const ppps = Array.from({ length: 20 }, (_, index) => `ppp${100 + index}`);
      const ended = await Promise.all(ppps.map(name => runHook(here, { shell, arguments: [name] })));
      t.ok(ended.every(({ exitCode, stderr, seconds }) => exitCode === 0 && stderr === '' && seconds < 3));
      const before = await readSpool(here);
      const taken = Object.keys(before).sort();
      t.equal(taken.length, 20);
      t.ok(
        taken.every(name => /^\d{10}$/.test(name)),
        taken.join(' '),
      );
      const told = Object.values(before).map(text => /^interface=(.*)$/m.exec(text)?.[1]);
      t.strictSame(told.sort(), ppps);
      await runHook(here, { shell, event: 'ip-down' });
      const last =
        Object.keys(await readSpool(here))
          .sort()
          .at(-1) ?? '';
      t.match((await readSpool(here))[last], 'event=ip-down\n');
      t.notOk(taken.includes(last));
    },
  );

  // An `ln` that always comes too late: another hook takes the number first.
  t.test(`${shell}: the tries for a number end`, { buffered: true }, async t => {
    const here = await machine(t, ['timeout']);
    await rm(join(here.bin, 'ln'));
    await addProgram(here, 'ln', 'for last; do :; done; : >"$last"; exit 1');
    const log = await addLogger(here);
    const { exitCode, seconds } = await runHook(here, { shell });
    t.equal(exitCode, 0);
    t.ok(seconds < 3);
    const files = await readSpool(here);
    t.ok(Object.keys(files).length < 20, `${Object.keys(files).length} tries`);
    t.ok(
      Object.values(files).every(text => text === ''),
      'nothing of the event stays',
    );
    t.match(await log(), 'lost an ip-up event');
  });

  t.test(
    `${shell}: what is planted at a number is neither written to nor waited for`,
    { buffered: true },
    async t => {
      const here = await machine(t);
      const spool = join(here.runtime, 'spool');
      const outside = join(here.peers, 'outside');
      await writeFile(outside, 'untouched\n');
      await symlink(outside, join(spool, '0000000001'));
      await symlink(join(here.peers, 'dangling'), join(spool, '0000000002'));
      await symlink(here.peers, join(spool, '0000000003'));
      await mkdir(join(spool, '0000000004'));
      await execa('mkfifo', [join(spool, '0000000005')]);
      const { exitCode, seconds } = await runHook(here, { shell });
      t.equal(exitCode, 0);
      t.ok(seconds < 3);
      t.strictSame(await readSpool(here), { '0000000006': plainEvent });
      t.strictSame(await readdir(here.peers), ['outside']);
      t.equal(await readFile(outside, 'utf8'), 'untouched\n');
      t.strictSame(await readdir(join(spool, '0000000004')), []);
    },
  );

  // The same, planted after the hook has looked: this `ln` plants it, then does what it was asked to.
  for (const [what, plant] of Object.entries({
    'a symlink to a directory': 'ln -s "$PEERS" "$last"',
    'a directory': 'mkdir "$last"',
    'a dangling symlink': 'ln -s "$PEERS/dangling" "$last"',
    'a fifo': 'mkfifo "$last"',
  })) {
    t.test(`${shell}: ${what} planted in the last moment is left alone`, { buffered: true }, async t => {
      const here = await machine(t);
      await rm(join(here.bin, 'ln'));
      const script = `for last; do :; done; PATH=/usr/bin:/bin; PEERS=${here.peers}
        [ -e ../planted ] || { : >../planted; ${plant}; }; ln "$@"`;
      await addProgram(here, 'ln', script);
      await runHook(here, { shell });
      await access(join(here.runtime, 'planted'));
      const files = await readSpool(here);
      t.strictSame(Object.values(files), [plainEvent]);
      t.match(Object.keys(files)[0], /^\d{10}$/);
      t.strictSame(await readdir(here.peers), [], 'nothing outside the spool');
    });
  }

  // The names of the temporary files cannot be planted: no two are the same, and they do not follow from the process.
  t.test(`${shell}: the temporary file has a name nobody can guess`, { buffered: true }, async t => {
    const seen = new Set<string>();
    for (let round = 0; round < 2; round++) {
      const here = await machine(t);
      await rm(join(here.bin, 'ln'));
      await addProgram(
        here,
        'ln',
        'for name; do case $name in .*) echo "$name" >../name ;; esac; done; exit 1',
      );
      await addLogger(here);
      await runHook(here, { shell });
      seen.add(await readFile(join(here.runtime, 'name'), 'utf8'));
    }
    t.equal(seen.size, 2);
    for (const name of seen)
      t.match(name, /^\.[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\n$/);
  });

  const unusable: Record<string, (here: Machine) => Promise<void>> = {
    'no spool': async here => rm(join(here.runtime, 'spool'), { recursive: true }),
    'no runtime directory': async here => rm(here.runtime, { recursive: true }),
    'a spool that is a symlink': async here => {
      await rm(join(here.runtime, 'spool'), { recursive: true });
      await symlink(here.peers, join(here.runtime, 'spool'));
    },
    'a spool that is a file': async here => {
      await rm(join(here.runtime, 'spool'), { recursive: true });
      await writeFile(join(here.runtime, 'spool'), '');
    },
  };
  for (const [what, prepare] of Object.entries(unusable)) {
    t.test(`${shell}: ${what} is one line in syslog`, { buffered: true }, async t => {
      const here = await machine(t, ['timeout', 'mkdir']);
      const log = await addLogger(here);
      await prepare(here);
      const { exitCode, stderr, seconds } = await runHook(here, { shell });
      t.equal(exitCode, 0);
      t.ok(seconds < 3);
      const socket = join(here.runtime, 'hook.sock');
      const spool = join(here.runtime, 'spool');
      const lost = `lost an ip-up event: no answer from ${socket}, and cannot write to ${spool}; is ppp-routed installed and running?`;
      t.equal(stderr, `ppp-routed: ${lost}`);
      t.equal(await log(), `-t ppp-routed -p daemon.warning -- ${lost}\n`);
      t.strictSame(await readdir(here.peers), [], 'nothing outside the spool');
      if (what === 'no spool')
        t.notOk((await readdir(here.runtime)).includes('spool'), 'root must not own it');
    });
  }

  t.test(`${shell}: what can be saved nowhere is one line in syslog`, { buffered: true }, async t => {
    const here = await machine(t, ['timeout', 'nc=nc.openbsd']);
    const log = await addLogger(here);
    await rm(join(here.runtime, 'spool'), { recursive: true });
    const daemon = await startDaemon('cannot save', here.runtime);
    t.teardown(daemon.stop);
    const { exitCode, stderr } = await runHook(here, { shell });
    t.equal(exitCode, 0);
    const lost = `an ip-up event is lost if ppp-routed ends before it can save: cannot write to ${join(here.runtime, 'spool')} either`;
    t.equal(stderr, `ppp-routed: error STATE no space left on device\nppp-routed: ${lost}`);
    t.equal(await log(), `-t ppp-routed -p daemon.warning -- ${lost}\n`);
  });

  t.test(`${shell}: syslog may hang, or be missing`, { buffered: true }, async t => {
    for (const programs of [['timeout'], []]) {
      const here = await machine(t, programs);
      await addProgram(here, 'logger', 'exec /bin/sleep 5');
      await rm(join(here.runtime, 'spool'), { recursive: true });
      const { exitCode, seconds } = await runHook(here, { shell });
      t.equal(exitCode, 0);
      t.ok(seconds < 1, `took ${seconds} s`);
    }
    const here = await machine(t);
    await rm(join(here.runtime, 'spool'), { recursive: true });
    t.equal((await runHook(here, { shell })).exitCode, 0);
  });

  // Blocks of 512 bytes, see ulimit(1p).
  for (const [what, blocks] of Object.entries({ 'may write no file': 0, 'may write half the event': 1 })) {
    t.test(`${shell}: a hook that ${what} is told to syslog, not killed`, { buffered: true }, async t => {
      const here = await machine(t, ['timeout']);
      const log = await addLogger(here);
      // -S, so that the logger of this test can free itself.
      const limit = ['/bin/sh', '-c', `ulimit -S -f ${blocks}; exec "$@"`, 'limit'];
      const long = 'x'.repeat(255);
      const environment = { LINKNAME: long, PEERNAME: long };
      const { exitCode, stderr } = await runHook(here, { shell, through: limit, environment });
      t.equal(exitCode, 0);
      t.match(stderr, 'lost an ip-up event');
      t.match(await log(), 'lost an ip-up event');
      t.strictSame(await readSpool(here), {}, 'no part of the event stays');
    });
  }

  // Mounts need no root in a user namespace. A mode would not stop root.
  const mounts = {
    'a read-only spool': 'mount --bind "$RUN/spool" "$RUN/spool" && mount -o remount,bind,ro "$RUN/spool"',
    'a full spool': 'mount -t tmpfs -o size=4k none "$RUN/spool" && printf x >"$RUN/spool/x"',
    'a spool with no room for another file':
      'mount -t tmpfs -o nr_inodes=2 none "$RUN/spool" && : >"$RUN/spool/x"',
  };
  for (const [what, mount] of Object.entries(mounts)) {
    t.test(
      `${shell}: ${what} keeps no part of an event, and syslog hears of it`,
      { buffered: true },
      async t => {
        const here = await machine(t, ['timeout']);
        const log = await addLogger(here);
        const mounted = `RUN=$1; shift; ${mount} || exit 9; "$@"; echo "status $?"; ls -A "$RUN/spool"`;
        const unshare = process.getuid?.() === 0 ? ['-m'] : ['-Urm'];
        const allowed = await execa('unshare', [...unshare, 'true'], { reject: false });
        if (allowed.failed) return t.pass(what, { skip: `needs root or user namespaces: ${allowed.stderr}` });
        const hook = [...shellCommand(shell), join(hooksDirectory, 'ip-up'), ...pppdArguments];
        const environment = Object.entries(hookEnvironment(here)).map(pair => pair.join('='));
        const { stdout } = await execa('unshare', [
          ...[...unshare, '/bin/sh', '-c', mounted, 'mounted', here.runtime],
          ...['/usr/bin/env', '-i', ...environment, ...hook],
        ]);
        t.equal(stdout, what.includes('read-only') ? 'status 0' : 'status 0\nx');
        t.match(await log(), 'lost an ip-up event');
      },
    );
  }
}

/** A syslog that writes its arguments down; the hook does not wait for it, so reading does. */
async function addLogger(here: Machine): Promise<() => Promise<string>> {
  const log = join(here.bin, 'logged');
  await addProgram(here, 'logger', `ulimit -f unlimited; echo "$*" >>'${log}'`);
  return async () => {
    for (let waited = 0; waited < 2000; waited += 20) {
      const text = await readFile(log, 'utf8').catch(() => '');
      if (text.endsWith('\n')) return text;
      await sleep(20);
    }
    return '';
  };
}
