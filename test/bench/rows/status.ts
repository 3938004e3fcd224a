// What a person waits for: `ppp-routectl status`.
import { join } from 'node:path';
import { median, summary, summaryHead } from '../figures.ts';
import { Machine, replaceProfile, root } from '../machine.ts';
import { atMost, type Result } from '../row.ts';

const program = join(root, 'dist/ppp-routectl.js');

export async function status(rounds = 30): Promise<Result> {
  const machine = await Machine.open();
  try {
    await machine.startDaemon(replaceProfile);
    await machine.tell([await machine.event('ip-up')]);
    const times: number[] = [];
    const bare: number[] = [];
    for (let round = -3; round < rounds; round++) {
      const { milliseconds, said } = await machine.time(
        [process.execPath, program, 'status'],
        machine.directories,
      );
      if (said !== '0') throw new Error(`ppp-routectl status: exit status ${said}`);
      const nothing = await machine.time([process.execPath, '-e', '']);
      if (round < 0) continue;
      times.push(milliseconds);
      bare.push(nothing.milliseconds);
    }
    const value = median(times);
    return {
      findings: [
        atMost(120, { what: '`ppp-routectl status`', value, figure: `${value.toFixed(0)} ms`, unit: ' ms' }),
      ],
      tables: [
        {
          title: `A look by a person, ${rounds} times, milliseconds`,
          lines: [
            summaryHead,
            summary('ppp-routectl status', times, 0),
            summary('node that does nothing', bare, 0),
          ],
        },
      ],
    };
  } finally {
    await machine.close();
  }
}
