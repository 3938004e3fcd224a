// Every client against every state of the daemon, on every shell: answered or spooled, once, in time.
import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { type State, startDaemon } from './fixtures/daemon.ts';
import { addProgram, machine, plainEvent, readSpool, runHook, type Shell, shells } from './fixtures/hook.ts';

// nc is the OpenBSD one; Debian has no other that knows both -N and -U. `usable`: how many of them can reach a daemon.
const clientSets: Record<string, { programs: string[]; usable: number }> = {
  'nc only': { programs: ['timeout', 'nc=nc.openbsd'], usable: 1 },
  'socat only': { programs: ['timeout', 'socat'], usable: 1 },
  'perl only': { programs: ['perl'], usable: 1 }, // these two bound themselves, with no `timeout` about
  'python3 only': { programs: ['python3'], usable: 1 },
  'every client': { programs: ['timeout', 'nc=nc.openbsd', 'socat', 'perl', 'python3'], usable: 4 },
  'busybox nc, then perl': { programs: ['timeout=busybox', 'nc=busybox', 'perl'], usable: 1 },
  'no client': { programs: ['timeout'], usable: 0 },
  'nc and socat without timeout': { programs: ['nc=nc.openbsd', 'socat'], usable: 0 }, // they would hang
};

type Wanted = {
  end: 'answered' | 'spooled';
  /** How many of the clients there are reach the daemon. */
  asked: 'none' | 'one' | 'all';
  slow?: true;
};
const wanted: Record<State, Wanted> = {
  'answers ok': { end: 'answered', asked: 'one' },
  'answers error': { end: 'answered', asked: 'one' },
  'answers after a second': { end: 'answered', asked: 'one' },
  'cannot save': { end: 'spooled', asked: 'one' },
  'is busy': { end: 'spooled', asked: 'one' },
  'did not see the end': { end: 'spooled', asked: 'one' },
  'talks nonsense': { end: 'spooled', asked: 'all' },
  'closes without a reply': { end: 'spooled', asked: 'all' },
  'closes late': { end: 'spooled', asked: 'one' },
  'never replies': { end: 'spooled', asked: 'one', slow: true },
  'drips without a newline': { end: 'spooled', asked: 'one', slow: true },
  'has a full backlog': { end: 'spooled', asked: 'none', slow: true },
  'is dead': { end: 'spooled', asked: 'none' },
  'is absent': { end: 'spooled', asked: 'none' },
};

const complaints: Partial<Record<State, string>> = {
  'answers error': 'error ROUTE cannot add default: Network is unreachable',
  'cannot save': 'error STATE no space left on device',
};

t.jobs = 12; // the slow ones sleep

for (const shell of Object.keys(shells) as Shell[]) {
  for (const [clients, { programs, usable }] of Object.entries(clientSets)) {
    for (const [state, { end, asked, slow }] of Object.entries(wanted) as [State, Wanted][]) {
      t.test(`${shell}, ${clients}: the daemon ${state}`, { buffered: true }, async t => {
        const here = await machine(t, programs);
        const daemon = await startDaemon(state, here.runtime);
        t.teardown(daemon.stop);

        const { exitCode, stdout, stderr, seconds } = await runHook(here, { shell });

        t.equal(exitCode, 0);
        t.equal(stdout, '');
        t.ok(seconds < 3, `took ${seconds} s`);
        if (slow && usable > 0) t.ok(seconds > 1.8, `gave up after ${seconds} s`);
        const reached = { none: 0, one: Math.min(usable, 1), all: usable }[asked];
        t.strictSame(daemon.received, Array(reached).fill(plainEvent));
        const delivered = end === 'answered' && usable > 0;
        t.strictSame(await readSpool(here), delivered ? {} : { '0000000001': plainEvent });
        const complaint = usable > 0 ? complaints[state] : undefined;
        t.equal(stderr, complaint === undefined ? '' : `ppp-routed: ${complaint}`);
      });
    }
  }
  t.test(`${shell}: a client that ignores SIGTERM`, { buffered: true }, async t => {
    const here = await machine(t, ['timeout']);
    await addProgram(here, 'nc', 'trap "" TERM; exec /bin/sleep 5');
    const daemon = await startDaemon('answers ok', here.runtime);
    t.teardown(daemon.stop);
    const { exitCode, stderr, seconds } = await runHook(here, { shell });
    t.equal(exitCode, 0);
    t.equal(stderr, '');
    t.ok(seconds < 3, `took ${seconds} s`);
    t.strictSame(await readSpool(here), { '0000000001': plainEvent });
  });

  t.test(`${shell}: no client is started where there is no socket`, { buffered: true }, async t => {
    const here = await machine(t, ['timeout']);
    await addProgram(here, 'nc', ': >"$RUNTIME_DIRECTORY/started"');
    await writeFile(join(here.runtime, 'hook.sock'), 'ok\n');
    await runHook(here, { shell });
    t.strictSame(await readSpool(here), { '0000000001': plainEvent });
    await t.rejects(access(join(here.runtime, 'started')));
  });
}
