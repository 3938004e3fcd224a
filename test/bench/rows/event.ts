// One event inside the daemon: from the connection to its answer, without the hook.
import { setTimeout as sleep } from 'node:timers/promises';
import { quantile, summary, summaryHead } from '../figures.ts';
import { Machine, replaceProfile } from '../machine.ts';
import { atMost, type Finding, type Result } from '../row.ts';

export async function event({ rounds = 300, seldomRounds = 40 } = {}): Promise<Result> {
  const machine = await Machine.open();
  try {
    await machine.startDaemon(replaceProfile);
    const calm = await askInTurn(machine, { rounds, pause: 25, ipparam: 'work' });
    const rushed = await askInTurn(machine, { rounds, pause: 0, ipparam: 'work' });
    const foreign = await askInTurn(machine, { rounds, pause: 25, ipparam: 'nobody' });
    const seldom = await askInTurn(machine, {
      rounds: seldomRounds,
      pause: 2000,
      ipparam: 'work',
      warmUp: 0,
    });
    return {
      findings: [
        percentile(50, { what: 'one event inside the daemon', values: calm, limit: 1.5 }),
        percentile(99, { what: 'one event inside the daemon', values: calm, limit: 8 }),
        percentile(50, { what: 'the same, one every two seconds', values: seldom, limit: 3 }),
      ],
      tables: [
        {
          title: `An event from connection to answer, ${2 * rounds} of each, one every two seconds ${2 * seldomRounds}, milliseconds`,
          lines: [
            summaryHead,
            summary('of a link that a profile matches', calm),
            summary('the same without a pause between them', rushed),
            summary('the same, one every two seconds', seldom),
            summary('of a link that no profile matches', foreign),
          ],
        },
      ],
    };
  } finally {
    await machine.close();
  }
}

function percentile(
  percent: number,
  { what, values, limit }: { what: string; values: readonly number[]; limit: number },
): Finding {
  const value = quantile(values, percent / 100);
  return atMost(limit, {
    what: `${what}, p${percent}`,
    value,
    figure: `${value.toFixed(2)} ms`,
    unit: ' ms',
  });
}

interface Turns {
  rounds: number;
  /** Between events; milliseconds. */
  pause: number;
  ipparam: string;
  /** Rounds that are not counted. */
  warmUp?: number;
}

async function askInTurn(
  machine: Machine,
  { rounds, pause, ipparam, warmUp = 20 }: Turns,
): Promise<number[]> {
  const events = [
    await machine.event('ip-up', 'ppp0', ipparam),
    await machine.event('ip-down', 'ppp0', ipparam),
  ];
  const times: number[] = [];
  for (let round = -warmUp; round < rounds; round++) {
    for (const text of events) {
      const { milliseconds, said } = await machine.ask('run/hook.sock', text);
      if (!said.startsWith('ok ')) throw new Error(`the daemon answered: ${said}\n${machine.log}`);
      if (round >= 0) times.push(milliseconds);
      if (pause > 0) await sleep(pause);
    }
  }
  return times;
}
