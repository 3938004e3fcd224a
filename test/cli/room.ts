// A room for one command: what it prints is kept, and the daemon says what the test has it say.
import type { Room } from '../../src/cli/room.ts';
import { createTerminal } from '../../src/cli/terminal.ts';
import type { Sight } from '../../src/core/tell/snapshot.ts';
import { type Dump, readDump, workLink } from './machine.ts';

export interface TestRoom extends Room {
  /** Lines printed so far. */
  printed(): string[];
}

export function roomWith(ask: Room['ask'], columns?: number): TestRoom {
  let text = '';
  const write = (more: string) => {
    text += more;
  };
  const seen = columns === undefined ? {} : { isTTY: true, columns };
  return {
    terminal: createTerminal({ ...seen, write }, { NO_COLOR: '1' }),
    ask,
    printed: () => text.trimEnd().split('\n'),
  };
}

/** A daemon's answer to `observe`, with ppp0 up. */
export function sightOf(dump: Dump, more: Partial<Sight> = {}): Sight {
  return {
    status: 'work: ppp0 up',
    degraded: false,
    troubles: [],
    warnings: [],
    links: [{ ...workLink(), says: 'work: ppp0 up' }],
    savedDefaults: [],
    observed: readDump(dump),
    ...more,
  };
}
