// What an event costs where there are many links, and where there are many routes. The machines of one series take turns.
import { setTimeout as sleep } from 'node:timers/promises';
import { median, quantile } from '../figures.ts';
import { eventOf, Machine, replaceProfile } from '../machine.ts';
import { idleAfter, memoryOf } from '../process.ts';
import { atMost, type Result } from '../row.ts';

/** Of `client` nothing is wanted, and it is the daemon's all the same; a `site` has one of fifty networks behind it. */
const sites = Array.from(
  { length: 50 },
  (_, i) => `[link.site${i}]\nserver = "none"\nnetworks = ["198.19.${i}.0/24"]\n`,
);
const profiles = `${replaceProfile}
[link.client]
default-route = "none"
server = "none"

${sites.join('')}
`;

export interface ScaleOptions {
  /** The first of the counts is what the last is compared with. */
  counts: readonly number[];
  rounds?: number;
  /** Or as many rounds as fit in so many seconds. */
  seconds?: number;
  /** How long to wait before the memory is looked at; milliseconds. */
  settling?: number;
}

/** Links beside the one that goes up and down: such that no profile matches, such that one does, and such that are routed to. */
export async function links({
  counts = [10, 100, 1000, 5000],
  matchedCounts = [10, 100, 500],
  ...options
}: Partial<ScaleOptions> & { matchedCounts?: readonly number[] } = {}): Promise<Result> {
  const how = { ...options, settling: idleAfter };
  const foreign = await measureSeries(counts, how, count => manyLinks(count, 'nobody'));
  const matched = await measureSeries(matchedCounts, how, count => manyLinks(count, 'client'));
  const routed = await measureSeries(matchedCounts, how, count => manyLinks(count, 'site'));
  const mostOf = (series: Measured[]) => (series.at(-1)?.count ?? 0).toLocaleString('en');
  const against = (limit: number, what: string, series: Measured[]) => {
    const value = ratioOf(series);
    const full = `an event at ${mostOf(series)} ${what}, against ${series[0]?.count}`;
    return atMost(limit, { what: full, value, figure: `${value.toFixed(2)} x`, unit: ' x' });
  };
  const memory = Math.max(...[foreign, matched].map(series => series.at(-1)?.resident ?? 0));
  return {
    findings: [
      against(1.3, 'links that no profile matches', foreign),
      against(1.5, 'links that a profile matches', matched),
      atMost(90, {
        what: `resident at ${mostOf(foreign)} links, idle`,
        value: memory,
        figure: `${memory.toFixed(1)} MB`,
        unit: ' MB',
      }),
    ],
    tables: [
      tableOf('An event, by links that no profile matches', foreign),
      tableOf('An event, by links that a profile matches', matched),
      tableOf('An event, by links that have a network behind them, and so a route of ours', routed),
    ],
    series: [
      { name: 'links that no profile matches', axis: 'links', points: pointsOf(foreign) },
      { name: 'links that a profile matches', axis: 'links', points: pointsOf(matched) },
    ],
  };
}

/** Routes in the main table, all of them by way of the uplink. */
export async function routes({
  counts = [0, 1000, 10_000, 100_000],
  ...options
}: Partial<ScaleOptions> = {}): Promise<Result> {
  const series = await measureSeries(counts, { ...options, settling: idleAfter }, manyRoutes);
  const value = ratioOf(series);
  const most = (counts.at(-1) ?? 0).toLocaleString('en');
  return {
    findings: [
      atMost(2, {
        what: `an event at ${most} routes, against ${counts[0] === 0 ? 'none' : counts[0]}`,
        value,
        figure: `${value.toFixed(2)} x`,
        unit: ' x',
      }),
    ],
    tables: [tableOf('An event, by routes in the main table', series)],
    series: [{ name: 'routes by way of the uplink', axis: 'routes', points: pointsOf(series) }],
  };
}

/** `ratio` of the last to the first, for the test that fails where it is too much. */
export function ratioOf(series: readonly Measured[]): number {
  return median(series.at(-1)?.times ?? []) / median(series[0]?.times ?? []);
}

export interface Measured {
  count: number;
  times: number[];
  resident: number;
}

/** An event is an up or a down of one link in mode `replace`. */
export async function measureSeries(
  counts: readonly number[],
  { rounds = 40, seconds = 40, settling = 0 }: Partial<ScaleOptions>,
  open: (count: number) => Promise<Machine>,
): Promise<Measured[]> {
  const machines: Machine[] = [];
  try {
    for (const count of counts) machines.push(await open(count));
    const series = machines.map((machine, i) => ({
      machine,
      count: counts[i] ?? Number.NaN,
      times: [] as number[],
    }));
    const began = performance.now();
    for (let round = -5; round < rounds; round++) {
      for (const { machine, times } of series) {
        for (const name of ['ip-up', 'ip-down'] as const) {
          const { milliseconds, said } = await machine.ask('run/hook.sock', await machine.event(name));
          if (!said.startsWith('ok ')) throw new Error(`the daemon answered: ${said}`);
          if (round >= 0) times.push(milliseconds);
          await sleep(20);
        }
      }
      if (round >= 3 && performance.now() - began > seconds * 1000) break;
    }
    await sleep(settling);
    return series.map(({ machine, count, times }) => {
      const { resident } = memoryOf(machine.daemon.pid ?? 0);
      return { count, times, resident };
    });
  } finally {
    await Promise.all(machines.map(machine => machine.close()));
  }
}

export async function manyLinks(count: number, ipparam: string): Promise<Machine> {
  const machine = await Machine.open();
  const names = Array.from({ length: count }, (_, i) => `ppp${i + 1}`);
  // Two ends of a cable are two links.
  const cables = names.flatMap((name, i) =>
    i % 2 === 0 ? [`link add ${name} type veth peer name ppp${i + 2}`] : [],
  );
  const addresses = names.flatMap((name, i) => {
    const far = `10.${100 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
    return [`address add 10.99.0.2 peer ${far}/32 dev ${name}`, `link set ${name} up`];
  });
  await machine.batch([...cables, ...addresses]);
  await machine.startDaemon(profiles);
  const indexes = await machine.indexes();
  await machine.tell(
    names.map((link, i) => {
      const profile = ipparam === 'site' ? `site${i % sites.length}` : ipparam;
      return eventOf({ name: 'ip-up', link, index: indexes.get(link) ?? 0, ipparam: profile });
    }),
  );
  const { links } = await machine.status();
  if (links.length !== count) throw new Error(`${links.length} of ${count} links are known`);
  return machine;
}

export async function manyRoutes(count: number): Promise<Machine> {
  const machine = await Machine.open();
  const prefixOf = (i: number) => `${20 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.0/24`;
  await machine.batch(
    Array.from({ length: count }, (_, i) => `route add ${prefixOf(i)} via 192.168.1.2 dev eth0`),
  );
  await machine.startDaemon(profiles);
  return machine;
}

function tableOf(title: string, series: readonly Measured[]) {
  const first = median(series[0]?.times ?? []);
  return {
    title: `${title}, milliseconds`,
    lines: [
      ['', 'median', 'p99', 'against the first', 'resident, idle, MB'],
      ...series.map(({ count, times, resident }) => [
        count.toLocaleString('en'),
        median(times).toFixed(2),
        quantile(times, 0.99).toFixed(2),
        `${(median(times) / first).toFixed(2)} x`,
        resident.toFixed(1),
      ]),
    ],
  };
}

function pointsOf(series: readonly Measured[]) {
  return series.map(({ count, times }) => ({ x: count, y: median(times) }));
}
