// One event inside the daemon: from the connection to its answer, without the hook. And what it starts and writes for it.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StateDirectory } from '../../../src/state/state-directory.ts';
import { quantile, summary, summaryHead } from '../figures.ts';
import { Machine, replaceProfile } from '../machine.ts';
import { atMost, type Result } from '../row.ts';

export async function event(rounds = 300): Promise<Result> {
  const machine = await Machine.open();
  try {
    await machine.startDaemon(replaceProfile);
    const calm = await askInTurn(machine, { rounds, pause: 25, ipparam: 'work' });
    const rushed = await askInTurn(machine, { rounds, pause: 0, ipparam: 'work' });
    const foreign = await askInTurn(machine, { rounds, pause: 25, ipparam: 'nobody' });
    const writes = await writeState(join(machine.directory, 'alone'), rounds);
    return {
      findings: [...percentiles('one event inside the daemon', calm, { p50: 2, p99: 10 })],
      tables: [
        {
          title: `An event from connection to answer, ${2 * rounds} of each, milliseconds`,
          lines: [
            summaryHead,
            summary('of a link that a profile matches', calm),
            summary('the same without a pause between them', rushed),
            summary('of a link that no profile matches', foreign),
            summary('one write of the state file alone', writes),
          ],
        },
      ],
    };
  } finally {
    await machine.close();
  }
}

function percentiles(what: string, values: readonly number[], limit: { p50: number; p99: number }) {
  return ([50, 99] as const).map(percent => {
    const value = quantile(values, percent / 100);
    const figure = `${value.toFixed(2)} ms`;
    return atMost(limit[`p${percent}`], { what: `${what}, p${percent}`, value, figure, unit: ' ms' });
  });
}

interface Turns {
  rounds: number;
  /** Between events; milliseconds. */
  pause: number;
  ipparam: string;
}

async function askInTurn(machine: Machine, { rounds, pause, ipparam }: Turns): Promise<number[]> {
  const events = [
    await machine.event('ip-up', 'ppp0', ipparam),
    await machine.event('ip-down', 'ppp0', ipparam),
  ];
  const times: number[] = [];
  for (let round = -20; round < rounds; round++) {
    for (const text of events) {
      const { milliseconds, said } = await machine.ask('run/hook.sock', text);
      if (!said.startsWith('ok ')) throw new Error(`the daemon answered: ${said}\n${machine.log}`);
      if (round >= 0) times.push(milliseconds);
      if (pause > 0) await sleep(pause);
    }
  }
  return times;
}

/** As the daemon does it, to the same file system. */
async function writeState(directory: string, times: number): Promise<number[]> {
  await mkdir(directory);
  const store = new StateDirectory(directory);
  store.load('boot');
  const taken: number[] = [];
  for (let time = 0; time < 2 * times; time++) {
    const route = `default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric ${time}`;
    const started = performance.now();
    store.saveDefaults([{ family: 'inet', route }]);
    taken.push(performance.now() - started);
  }
  return taken;
}
