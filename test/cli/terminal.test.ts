import t from 'tap';
import { createTerminal } from '../../src/cli/terminal.ts';

/** What comes out of a terminal of that kind when something is said in green. */
function greenOn(stream: { isTTY: boolean }, environment: NodeJS.ProcessEnv): string {
  let printed = '';
  const write = (text: string) => {
    printed += text;
  };
  const terminal = createTerminal({ ...stream, write }, environment);
  terminal.print(terminal.paint('green', 'fine'));
  return printed;
}

t.test('colours only where a person looks who has not asked for none', async t => {
  const coloured = '\u001b[32mfine\u001b[39m\n';
  t.equal(greenOn({ isTTY: true }, { TERM: 'xterm' }), coloured);
  t.equal(
    greenOn({ isTTY: true }, { TERM: 'xterm', NO_COLOR: '' }),
    coloured,
    'an empty NO_COLOR says nothing',
  );
  t.equal(greenOn({ isTTY: true }, { TERM: 'xterm', NO_COLOR: '1' }), 'fine\n');
  t.equal(greenOn({ isTTY: true }, { TERM: 'dumb' }), 'fine\n');
  t.equal(greenOn({ isTTY: false }, { TERM: 'xterm' }), 'fine\n');
});
