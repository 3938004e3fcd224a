// The hook against every state of the daemon: answered or spooled, once, in time.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { type State, startDaemon } from './fixtures/daemon.ts';
import {
  machine,
  override,
  plainEvent,
  plainSpooled,
  plainVersion1,
  readSpool,
  runHook,
  tool,
  type Way,
  ways,
} from './fixtures/hook.ts';

type Wanted = {
  end: 'answered' | 'spooled';
  /** What each connection told the daemon. */
  told: string[];
  /** Does the hook use all of its two seconds? */
  slow?: true;
  complaint?: string;
};

const peerOption = 'peer-option=pty "pptp vpn.example.com"\n';
const known = (text: string) => text.replace('pid=4711\n', 'pid=4711\ncall=work\n');
const event = known(plainEvent);
const version1 = known(plainVersion1).replace(/\n\n$/, `\n${peerOption}\n`);
const spooled = known(plainSpooled).replace('\n\nnetns', `\n${peerOption}\nnetns`);
const eventAndAnswer = `${event}${peerOption}\n`;

const wanted: Record<State, Wanted> = {
  'answers ok': { end: 'answered', told: [event] },
  'answers error': {
    end: 'answered',
    told: [event],
    complaint: 'error ROUTE cannot add default: Network is unreachable',
  },
  'answers after a second': { end: 'answered', told: [event] },
  'cannot save': { end: 'spooled', told: [event], complaint: 'error STATE no space left on device' },
  'is busy': { end: 'spooled', told: [event] },
  'is busy and closes at once': { end: 'spooled', told: [] },
  'did not see the end': { end: 'spooled', told: [event] },
  'talks nonsense': { end: 'spooled', told: [event] },
  'talks without end': { end: 'spooled', told: [event] },
  'closes without a reply': { end: 'spooled', told: [event] },
  'closes late': { end: 'spooled', told: [event] },
  'never replies': { end: 'spooled', told: [event], slow: true },
  'drips without a newline': { end: 'spooled', told: [event], slow: true },
  'asks, then answers ok': { end: 'answered', told: [eventAndAnswer] },
  'asks, and answers ok before it was told': { end: 'answered', told: [] },
  'asks, then closes': { end: 'spooled', told: [eventAndAnswer] },
  'asks, then hangs': { end: 'spooled', told: [eventAndAnswer], slow: true },
  'knows only version 1': { end: 'answered', told: [event, version1] },
  'knows only version 1, and is busy': { end: 'spooled', told: [event, version1] },
  'knows only version 1, and hangs': { end: 'spooled', told: [event, version1], slow: true },
  'has a full backlog': { end: 'spooled', told: [], slow: true },
  'is dead': { end: 'spooled', told: [] },
  'is absent': { end: 'spooled', told: [] },
};

t.jobs = 12; // the slow ones sleep

for (const way of Object.keys(ways) as Way[]) {
  for (const [state, { end, told, slow, complaint }] of Object.entries(wanted) as [State, Wanted][]) {
    t.test(`${way}: the daemon ${state}`, { buffered: true }, async t => {
      const here = await machine(t);
      await writeFile(join(here.peers, 'work'), 'pty "pptp vpn.example.com"\n');
      const daemon = await startDaemon(state, here.runtime);
      t.teardown(daemon.stop);

      const environment = { CALL_FILE: 'work' };
      const { exitCode, stdout, stderr, seconds } = await runHook(here, { way, environment });

      t.equal(exitCode, 0);
      t.equal(stdout, '');
      t.equal(stderr, complaint === undefined ? '' : `ppp-routed: ${complaint}`);
      t.ok(seconds < 3, `took ${seconds} s`);
      if (slow) t.ok(seconds > 1.8, `gave up after ${seconds} s`);
      else t.ok(seconds < 1.8, `waited ${seconds} s`);
      if (told.length > 0) t.strictSame(daemon.received, told);
      t.strictSame(await readSpool(here), end === 'answered' ? {} : { '0000000001': spooled });
    });
  }
}

t.test('a daemon that has closed before the event is sent', async t => {
  for (const state of ['is busy and closes at once', 'is dead'] as const) {
    const here = await machine(t);
    const daemon = await startDaemon(state, here.runtime);
    t.teardown(daemon.stop);
    const environment = await override(here, 'send', 'select undef, undef, undef, 0.3');
    const { exitCode, stderr } = await runHook(here, { environment });
    t.same({ exitCode, stderr }, { exitCode: 0, stderr: '' });
    t.strictSame(await readSpool(here), { '0000000001': plainSpooled });
  }
});

t.test('a file that is no socket', async t => {
  const here = await machine(t);
  await writeFile(join(here.runtime, 'hook.sock'), 'ok\n');
  await runHook(here);
  t.strictSame(await readSpool(here), { '0000000001': plainSpooled });
});

t.test('SIGALRM blocked and SIGPIPE ignored, as a parent may leave them', async t => {
  const here = await machine(t);
  const daemon = await startDaemon('never replies', here.runtime);
  t.teardown(daemon.stop);
  const block =
    '$SIG{PIPE} = "IGNORE"; sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGALRM, SIGTERM)) or die; exec @ARGV';
  const { exitCode, seconds } = await runHook(here, { through: [tool('perl'), '-MPOSIX', '-e', block] });
  t.equal(exitCode, 0);
  t.ok(seconds > 1.8 && seconds < 3, `took ${seconds} s`);
  t.strictSame(await readSpool(here), { '0000000001': plainSpooled });
});

t.test('an event that the daemon refuses is told in both versions, and complained of once', async t => {
  const here = await machine(t);
  const daemon = await startDaemon('knows only version 1', here.runtime);
  t.teardown(daemon.stop);
  const { exitCode, stderr } = await runHook(here, { arguments: ['-batch'] });
  t.equal(exitCode, 0);
  t.match(stderr, /^ppp-routed: error FIELD interface .*$/);
  t.equal(daemon.received.length, 2);
  t.strictSame(await readSpool(here), {}, 'a refusal is an answer');
});
