// The switch: a sender asks for a way out ten thousand times a second while the link goes up and down. A send without a
// route is a packet lost.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Machine } from '../machine.ts';
import { root } from '../machine.ts';
import type { Result } from '../row.ts';
import { type Contender, hooks, wiki } from './pair.ts';

const rate = 10_000;

export async function gap(rounds = 100): Promise<Result> {
  const sent: string[][] = [];
  let ours = { lost: Number.NaN, rate: 0 };
  for (const open of [hooks, wiki]) {
    const contender = await open();
    try {
      const counted = await count(contender, rounds);
      sent.push([
        contender.name,
        String(counted.sent),
        counted.rate.toFixed(0),
        String(counted.lost),
        counted.errors || 'none',
      ]);
      if (open === hooks) ours = counted;
    } finally {
      await contender.machine.close();
    }
  }
  return {
    findings: [
      {
        what: `packets without a route, at ${ours.rate.toFixed(0)} a second through ${rounds} ups and downs`,
        figure: String(ours.lost),
        target: '0',
        met: ours.lost === 0 && ours.rate > rate * 0.95,
      },
    ],
    tables: [
      {
        title: `Packets while a link goes up and down ${rounds} times`,
        lines: [['', 'sent', 'a second', 'without a route', 'errors'], ...sent],
      },
    ],
  };
}

async function count({ machine, up, down }: Contender, rounds: number) {
  await settleNeighbours(machine);
  const sender = machine.start([
    'perl',
    join(root, 'test/netns/sender.pl'),
    `--rate=${rate}`,
    '198.51.100.7',
  ]);
  await new Promise(resolve => sender.stdout.once('data', resolve));
  const started = performance.now();
  for (let round = 0; round < rounds; round++) {
    await up();
    await sleep(10);
    await down();
    await sleep(10);
  }
  const seconds = (performance.now() - started) / 1000;
  sender.stdin.end();
  const said =
    String((await sender).stdout)
      .split('\n')
      .at(-1) ?? '';
  const [sent = '', ...errors] = said.split(' ');
  const lost = errors.reduce((sum, error) => sum + Number(error.split('=')[1]), 0);
  return { sent: Number(sent), rate: Number(sent) / seconds, lost, errors: errors.join(' ') };
}

/** No send waits for ARP. */
async function settleNeighbours(machine: Machine): Promise<void> {
  await machine.script(`
    ip neighbour add 192.168.1.1 lladdr 02:00:00:00:00:01 nud permanent dev eth0
    ip link set ppp0 arp off
  `);
}
