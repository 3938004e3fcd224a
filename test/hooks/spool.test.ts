// Events that nobody took: numbered, whole, readable by the daemon's group, and written nowhere else.
import { access, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { startDaemon } from './fixtures/daemon.ts';
import {
  type Machine,
  machine,
  mayMount,
  override,
  plainSpooled,
  readSpool,
  runHook,
  unshareMounts,
} from './fixtures/hook.ts';
import { startSyslog } from './fixtures/syslog.ts';

t.jobs = 4;
// Its tests mount over directories: a container without privileges forbids that, and the whole form runs where it is allowed.
const skip = (await mayMount()) ? {} : { skip: 'needs root or user namespaces' };

t.test('the group may read the file, others may not', { buffered: true }, async t => {
  const here = await machine(t);
  await runHook(here); // under pppd's umask of 077
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
    there: ['.0000000009', '99', '00000000050', 'x', 'rejected', '0000000007\n'],
    next: '0000000001',
  },
};
t.test('the number is one above the highest', { buffered: true }, async t => {
  for (const [what, { there, next }] of Object.entries(numbers)) {
    const here = await machine(t);
    for (const name of there) await writeFile(join(here.runtime, 'spool', name), 'kept\n');
    const { exitCode } = await runHook(here);
    t.equal(exitCode, 0);
    const kept = Object.fromEntries(there.map(name => [name, 'kept\n']));
    t.strictSame(await readSpool(here), { ...kept, [next]: plainSpooled }, what);
  }
});

t.test('no number that is there makes an event be lost', { buffered: true }, async t => {
  for (const highest of ['0999999999', '9999999998', '9999999999']) {
    const here = await machine(t);
    await writeFile(join(here.runtime, 'spool', highest), 'kept\n');
    for (let n = 1; n <= 3; n++) t.equal((await runHook(here)).stderr, '', highest);
    const events = Object.entries(await readSpool(here)).filter(([name]) => name !== highest);
    t.strictSame(
      events.map(([name, text]) => [name.length, text]),
      Array.from({ length: 3 }, () => [10, plainSpooled]),
    );
  }
});

t.test(
  '20 hooks at once take 20 numbers, and the next comes after all of them',
  { buffered: true },
  async t => {
    const here = await machine(t);
    // Slow enough that all of them want the same number, and then the same again unless they part.
    const environment = await override(here, 'link', 'select undef, undef, undef, 0.1');
    const ppps = Array.from({ length: 20 }, (_, index) => `ppp${100 + index}`);
    const ended = await Promise.all(ppps.map(name => runHook(here, { arguments: [name], environment })));
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
    await runHook(here, { event: 'ip-down' });
    const last =
      Object.keys(await readSpool(here))
        .sort()
        .at(-1) ?? '';
    t.match((await readSpool(here))[last], 'event=ip-down\n');
    t.notOk(taken.includes(last));
  },
);

// A link() that always comes too late: another hook takes the number first.
t.test('the tries for a number end', { buffered: true, ...skip }, async t => {
  const here = await machine(t);
  const environment = await override(here, 'link', 'open my $other, ">", $_[1]');
  const { through, lines } = await startSyslog(t, here);
  const { exitCode, seconds } = await runHook(here, { environment, through });
  t.equal(exitCode, 0);
  t.ok(seconds < 3);
  const files = await readSpool(here);
  t.ok(Object.keys(files).length < 20, `${Object.keys(files).length} tries`);
  t.ok(
    Object.values(files).every(text => text === ''),
    'nothing of the event stays',
  );
  t.match((await lines())[0], 'lost an ip-up event');
});

t.test('what is planted at a number is neither written to nor waited for', { buffered: true }, async t => {
  const here = await machine(t);
  const spool = join(here.runtime, 'spool');
  const outside = join(here.peers, 'outside');
  await writeFile(outside, 'untouched\n');
  await symlink(outside, join(spool, '0000000001'));
  await symlink(join(here.peers, 'dangling'), join(spool, '0000000002'));
  await symlink(here.peers, join(spool, '0000000003'));
  await mkdir(join(spool, '0000000004'));
  await execa('mkfifo', [join(spool, '0000000005')]);
  const { exitCode, seconds } = await runHook(here);
  t.equal(exitCode, 0);
  t.ok(seconds < 3);
  t.strictSame(await readSpool(here), { '0000000006': plainSpooled });
  t.strictSame(await readdir(here.peers), ['outside']);
  t.equal(await readFile(outside, 'utf8'), 'untouched\n');
  t.strictSame(await readdir(join(spool, '0000000004')), []);
});

// The same, planted after the hook has looked.
for (const [what, plant] of Object.entries({
  'a symlink to a directory': 'symlink "$PEERS", $_[1]',
  'a directory': 'mkdir $_[1]',
  'a dangling symlink': 'symlink "$PEERS/dangling", $_[1]',
  'a fifo': 'system "/usr/bin/mkfifo", $_[1]',
})) {
  t.test(`${what} planted in the last moment is left alone`, { buffered: true }, async t => {
    const here = await machine(t);
    const once = `my $PEERS = "${here.peers}"; unless (-e "../planted") { mkdir "../planted"; ${plant} }`;
    await runHook(here, { environment: await override(here, 'link', once) });
    await access(join(here.runtime, 'planted'));
    const files = await readSpool(here);
    t.strictSame(Object.values(files), [plainSpooled]);
    t.match(Object.keys(files)[0], /^\d{10}$/);
    t.equal((await readdir(join(here.runtime, 'spool'))).length, 2);
    t.strictSame(await readdir(here.peers), [], 'nothing outside the spool');
  });
}

// The names of the temporary files cannot be planted: no two are the same, and they do not follow from the process.
t.test('the temporary file has a name nobody can guess', { buffered: true }, async t => {
  const seen = new Set<string>();
  for (let round = 0; round < 2; round++) {
    const here = await machine(t);
    const environment = await override(here, 'link', 'open my $name, ">", "../name"; print $name $_[0]');
    await runHook(here, { environment });
    const name = await readFile(join(here.runtime, 'name'), 'utf8');
    seen.add(name);
    t.match(name, /^\.[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/);
    const spooled = await readFile(join(here.runtime, 'spool/0000000001'), 'utf8');
    t.notMatch(spooled, name.slice(1), "the daemon knows the event's id");
  }
  t.equal(seen.size, 2);
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
  t.test(`${what} is one line in syslog`, { buffered: true, ...skip }, async t => {
    const here = await machine(t);
    const { through, lines } = await startSyslog(t, here);
    await prepare(here);
    const { exitCode, stderr, seconds } = await runHook(here, { through });
    t.equal(exitCode, 0);
    t.ok(seconds < 3);
    const socket = join(here.runtime, 'hook.sock');
    const spool = join(here.runtime, 'spool');
    const lost = `lost an ip-up event: no answer from ${socket}, and cannot write to ${spool}; is ppp-routed installed and running?`;
    t.equal(stderr, `ppp-routed: ${lost}`);
    const said = await lines();
    t.equal(said.length, 1);
    // RFC 3164: daemon.warning, and the time as in "Nov  9 08:07:06".
    t.match(said[0], /^<28>[A-Z][a-z]{2} [ 1-3]\d \d\d:\d\d:\d\d ppp-routed: /);
    t.ok(said[0]?.endsWith(` ppp-routed: ${lost}`));
    t.strictSame(await readdir(here.peers), [], 'nothing outside the spool');
    if (what === 'no spool') t.notOk((await readdir(here.runtime)).includes('spool'), 'root must not own it');
  });
}

// What is at the name is another directory by the time the hook is in it.
t.test('a spool that is exchanged in between is not written to', { buffered: true, ...skip }, async t => {
  const here = await machine(t);
  const { through, lines } = await startSyslog(t, here);
  const spool = join(here.runtime, 'spool');
  const exchange = `rename "${spool}", "${spool}.was" and symlink "${here.peers}", "${spool}" if $_[0] eq "spool"`;
  const environment = await override(here, 'chdir', exchange);
  const { stderr } = await runHook(here, { through, environment });
  t.match(stderr, 'lost an ip-up event');
  t.equal((await lines()).length, 1);
  t.strictSame(await readdir(here.peers), [], 'nothing outside the spool');
  t.strictSame(await readdir(`${spool}.was`), []);
});

t.test('what can be saved nowhere is one line in syslog', { buffered: true, ...skip }, async t => {
  const here = await machine(t);
  const { through, lines } = await startSyslog(t, here);
  await rm(join(here.runtime, 'spool'), { recursive: true });
  const daemon = await startDaemon('cannot save', here.runtime);
  t.teardown(daemon.stop);
  const { exitCode, stderr } = await runHook(here, { through });
  t.equal(exitCode, 0);
  const lost = `an ip-up event is lost if ppp-routed ends before it can save: cannot write to ${join(here.runtime, 'spool')} either`;
  t.equal(stderr, `ppp-routed: error STATE no space left on device\nppp-routed: ${lost}`);
  t.match(await lines(), [new RegExp(`ppp-routed: ${lost}$`)]);
});

t.test('syslog may hang, or be missing', { buffered: true, ...skip }, async t => {
  const here = await machine(t);
  await rm(join(here.runtime, 'spool'), { recursive: true });
  const { through } = await startSyslog(t, here, 'full');
  for (const how of [
    through,
    [...unshareMounts, '/bin/sh', '-c', 'mount -t tmpfs none /dev && exec "$@"', 'none'],
  ]) {
    const { exitCode, seconds } = await runHook(here, { through: how });
    t.equal(exitCode, 0);
    t.ok(seconds < 1, `took ${seconds} s`);
  }
});

// Blocks of 512 bytes, see ulimit(1p).
for (const [what, blocks] of Object.entries({ 'may write no file': 0, 'may write half the event': 1 })) {
  t.test(`a hook that ${what} is told to syslog, not killed`, { buffered: true, ...skip }, async t => {
    const here = await machine(t);
    const { through, lines } = await startSyslog(t, here);
    const limit = ['/bin/sh', '-c', `ulimit -f ${blocks}; exec "$@"`, 'limit'];
    const long = 'x'.repeat(255);
    const environment = { LINKNAME: long, PEERNAME: long };
    const { exitCode, stderr } = await runHook(here, { through: [...through, ...limit], environment });
    t.equal(exitCode, 0);
    t.match(stderr, 'lost an ip-up event');
    t.match((await lines())[0], 'lost an ip-up event');
    t.strictSame(await readSpool(here), {}, 'no part of the event stays');
  });
}

// A mode would not stop root.
const mounts = {
  'a read-only spool': 'mount --bind "$RUN/spool" "$RUN/spool" && mount -o remount,bind,ro "$RUN/spool"',
  'a full spool': 'mount -t tmpfs -o size=4k none "$RUN/spool" && printf x >"$RUN/spool/x"',
  'a spool with no room for another file':
    'mount -t tmpfs -o nr_inodes=2 none "$RUN/spool" && : >"$RUN/spool/x"',
};
for (const [what, mount] of Object.entries(mounts)) {
  t.test(
    `${what} keeps no part of an event, and syslog hears of it`,
    { buffered: true, ...skip },
    async t => {
      const here = await machine(t);
      const { through, lines } = await startSyslog(t, here);
      const mounted = `RUN=$0; ${mount} || exit 9; "$@"; echo "status $?"; ls -A "$RUN/spool"`;
      const { stdout } = await runHook(here, {
        through: [...through, '/bin/sh', '-c', mounted, here.runtime],
        environment: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
      });
      t.equal(stdout, what.includes('read-only') ? 'status 0' : 'status 0\nx');
      t.match((await lines())[0], 'lost an ip-up event');
    },
  );
}
