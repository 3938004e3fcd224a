import t from 'tap';
import { CommandError } from '../../src/cli/command-error.ts';
import { restore } from '../../src/cli/restore.ts';
import { howToTable } from './machine.ts';
import { roomWith, sightOf } from './room.ts';

const back = sightOf({ routes: howToTable });
const absent = new CommandError('absent', 'no ppp-routed answers', 'Start it');

/** Runs `restore` against a daemon that answers so; tells what was asked and done, in order. */
async function restoreWith(answers: (unknown | CommandError)[], offline = back) {
  const did: string[] = [];
  const room = roomWith(async ({ command }) => {
    did.push(command);
    const answer = answers.shift();
    if (answer instanceof CommandError) throw answer;
    return answer;
  });
  const restoreOffline = async () => {
    did.push('offline');
    return offline;
  };
  const exitCode = await restore({ ...room, restoreOffline }).catch(
    (error: CommandError) => error.exitStatus,
  );
  return { did, exitCode, printed: room.printed() };
}

t.test('a daemon that is there does it', async t => {
  t.match(await restoreWith([back, back]), { did: ['restore', 'observe'], exitCode: 0 });
  const degraded = { ...back, degraded: true, troubles: ['ip monitor ended (x)'] };
  const { exitCode, printed } = await restoreWith([degraded, degraded]);
  t.equal(exitCode, 1, 'trouble is left');
  t.match(printed.at(-2), 'Trouble: ip monitor ended (x)');
});

t.test('without one it is done here', async t => {
  t.match(await restoreWith([absent, absent]), { did: ['restore', 'offline', 'restore'], exitCode: 0 });
});

t.test('a daemon that starts meanwhile is told too', async t => {
  const late = sightOf({ routes: howToTable }, { links: [] });
  const { did, exitCode, printed } = await restoreWith([absent, late, late]);
  t.same(did, ['restore', 'offline', 'restore', 'observe']);
  t.equal(exitCode, 0);
  t.notMatch(printed.join('\n'), 'Left alone', 'what the daemon says is what holds');
});

t.test('nothing is done behind the back of a daemon that may be there', async t => {
  const rows: [code: 'denied' | 'trouble', exitCode: number][] = [
    ['denied', 3],
    ['trouble', 1],
  ];
  for (const [code, exitCode] of rows)
    t.match(await restoreWith([new CommandError(code, 'x', 'y')]), { did: ['restore'], exitCode });
});
