// Every client against every state of the daemon, on every shell: answered or spooled, once, in time.
import t from 'tap';
import { type State, startDaemon } from './fixtures/daemon.ts';
import { machine, plainEvent, readSpool, runHook, type Shell, shells } from './fixtures/hook.ts';

const clientSets: Record<string, string[]> = {
  'nc only': ['timeout', 'nc'],
  'socat only': ['timeout', 'socat'],
  'perl only': ['perl'], // these two bound themselves, with no `timeout` about
  'python3 only': ['python3'],
  'no client': ['timeout'],
  'every client': ['timeout', 'nc', 'socat', 'perl', 'python3'],
  'nc without timeout': ['nc'], // would hang: not a client
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

t.jobs = 12; // the slow ones sleep

for (const shell of Object.keys(shells) as Shell[]) {
  for (const [clients, programs] of Object.entries(clientSets)) {
    for (const [state, { end, asked, slow }] of Object.entries(wanted) as [State, Wanted][]) {
      t.test(`${shell}, ${clients}: the daemon ${state}`, { buffered: true }, async t => {
        const here = await machine(t, programs);
        const daemon = await startDaemon(state, here.runtime);
        t.teardown(daemon.stop);
        const usable =
          clients === 'nc without timeout' ? 0 : programs.filter(name => name !== 'timeout').length;

        const { exitCode, stdout, stderr, seconds } = await runHook(here, { shell });

        t.equal(exitCode, 0);
        t.equal(stdout, '');
        t.ok(seconds < 3, `took ${seconds} s`);
        if (slow && usable > 0) t.ok(seconds > 1.8, `gave up after ${seconds} s`);
        const reached = { none: 0, one: Math.min(usable, 1), all: usable }[asked];
        t.strictSame(daemon.received, Array(reached).fill(plainEvent));
        const delivered = end === 'answered' && usable > 0;
        t.strictSame(await readSpool(here), delivered ? {} : { '0000000001': plainEvent });
        const complaint = 'ppp-routed: error ROUTE cannot add default: Network is unreachable';
        t.equal(stderr, delivered && state === 'answers error' ? complaint : '');
      });
    }
  }
}
