// The steps of a plan on the real kernel: one exchange with `ip` where none fails, and the same outcome where one is refused
// or the process is killed or hangs, at every place.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { Step } from '../../src/core/decide/plan.ts';
import type { Family } from '../../src/core/route/prefix.ts';
import { parseRoute } from '../../src/core/route/route-line.ts';
import type { StepResult } from '../../src/daemon/rooms.ts';
import { Kernel } from '../../src/kernel/kernel.ts';
import { type Machine, onMachine } from './machine.ts';
import { inSight } from './walk.ts';

t.jobs = 4;
const barrier = [
  /^nexthop add id 417300000[01] blackhole proto 173$/,
  /^nexthop del id 417300000[01]$/,
  /^link show dev lo$/,
];

scenario('no step fails', async room => {
  const steps = planOf();
  const results = await room.apply(steps);
  room.t.same(results.map(outcomeOf), ['done', 'done', 'done', 'done', 'done']);
  room.t.same(await room.routes(), wholeTable);
  const [chunk, ...more] = await room.strictChunks();
  const lines = chunk?.split('\n') ?? [];
  room.t.same(
    lines.filter(line => !line.startsWith('rule show priority 17399')).slice(0, 5),
    [
      'route prepend 203.0.113.5 via 10.0.0.8 dev n0 proto 173',
      'route prepend 203.0.113.6 via 10.0.0.8 dev n0 proto 173',
      'route prepend default dev n1 proto 173',
      'route del default via 10.0.0.7 dev n0 proto dhcp metric 302',
      'route del 198.51.100.0/24 dev n0 proto 173',
    ],
    'all steps in one write',
  );
  room.t.match(lines.slice(-3), barrier, 'with a barrier behind them');
  room.t.same(more, [], 'and nothing else');
  room.t.equal(await room.asked(), '', 'nobody else is asked');
  await room.kernel.observe({ forwarding: false, destinations: inSight, news: 'after' });
  await room.kernel.observe({ forwarding: false, destinations: inSight, news: 'known' });
  room.t.equal((await room.strictChunks()).length + (await room.asked()).length, 1, 'a look asks nothing');
});

/** By the kernel, which takes no route by a gateway that it cannot reach, and by ip, which ends without a word of the line. */
const refusals = [
  ...[0, 1, 2].map(position => ({ by: 'the kernel', position, words: 'via 192.0.2.1 dev n0 proto 173' })),
  ...[0, 1, 2, 3, 4].map(position => ({ by: 'ip', position, words: 'dev n0 metric none' })),
];
for (const { by, position, words } of refusals)
  scenario(`step ${position} is refused by ${by}`, async room => {
    const steps = planOf();
    const refused = steps[position];
    if (refused !== undefined && 'route' in refused)
      refused.route = { ...refused.route, line: `${refused.route.dst} ${words}` };
    const expected = steps.map(step =>
      step === refused ? 'failed' : refused && needsOf(step).includes(refused) ? 'skipped' : 'done',
    );
    room.t.same(await room.settle(steps, by === 'the kernel' ? 1 : 2), expected);
    const lines = new Set(tableBefore);
    for (const [i, step] of steps.entries())
      if (expected[i] === 'done' && 'route' in step) {
        if (step.kind === 'add-route') lines.add(shown(step.route.line));
        else lines.delete(step.route.line);
      }
    room.t.same(await room.routes(), [...lines].sort(), 'what was not refused is done');
    room.t.ok((await room.asked()).includes('nexthop del'), 'a barrier is behind it');
    await room.isStrictAgain();
  });

scenario('a route that is to be deleted is gone', async room => {
  const steps = planOf();
  await room.machine.ip('route del default via 10.0.0.7 dev n0 metric 302');
  const results = await room.apply(steps);
  room.t.same(results.map(outcomeOf), ['done', 'done', 'done', 'done', 'done']);
  room.t.same(await room.routes(), wholeTable);
  await room.isStrictAgain();
});

scenario('a route that is to be added is there', async room => {
  const steps = planOf();
  await room.machine.ip('route add 203.0.113.6 via 10.0.0.8 dev n0 proto 173');
  const results = await room.apply(steps);
  room.t.same(results.map(outcomeOf), [
    'done',
    'failed, unsure',
    'skipped, unsure',
    'skipped, unsure',
    'done',
  ]);
  room.t.same((await room.apply(steps.slice(2, 4))).map(outcomeOf), ['done', 'done']);
  room.t.same(await room.routes(), wholeTable);
});

for (const lines of [0, 1, 2, 3, 4, 5, 6, 7])
  scenario(`ip is killed after ${lines} lines`, async room => {
    const steps = planOf();
    await room.strictShall(`die ${lines}`);
    room.t.same(await room.settle(steps, 2), Array(5).fill('done'));
    room.t.same(await room.routes(), wholeTable);
    await room.isStrictAgain();
  });

for (const lines of [0, 1, 3, 5, 7])
  scenario(`ip hangs after ${lines} lines`, async room => {
    const steps = planOf();
    await room.strictShall(`hang ${lines}`);
    await room.t.rejects(room.apply(steps), {
      name: 'IpError',
      message: /did not answer within 400 ms: route/,
    });
    room.t.same(await room.settle(steps, 2), Array(5).fill('done'));
    room.t.same(await room.routes(), wholeTable);
    await room.isStrictAgain();
  });

scenario('an interface takes the name of another', async room => {
  // A long-lived ip remembers the index of a name that it was told.
  await room.apply([stepOf('add', '198.51.100.8 dev n1 proto 173')]);
  room.t.equal(await room.asked(), '');
  await room.machine.ip('link set n1 down');
  await room.machine.ip('link set n1 name n2');
  await room.machine.ip('link add n1 type bridge');
  await room.machine.ip('link set n1 up');
  const steps = planOf();
  room.t.same(await room.settle(steps, 1), Array(5).fill('done'));
  const way = await room.machine.ip('-o route get fibmatch 198.18.0.1');
  room.t.match(way, 'dev n1 proto 173', 'at once');
  await room.isStrictAgain();
  await room.apply([stepOf('add', '198.51.100.9 dev n1 proto 173')]);
  await room.machine.ip('link del n1');
  room.t.notMatch(await room.machine.ip('route'), '198.51.100.9', 'and later: it goes with the interface');
});

scenario('steps of both families', async room => {
  await room.machine.ip('-6 address add 2001:db8::1/64 dev n0 nodad');
  await room.strict6();
  const pin = stepOf('add', '2001:db8:f::5 via 2001:db8::8 dev n0 proto 173 metric 1', { family: 'inet6' });
  const refused = stepOf('add', '2001:db8:f::6 via 2001:db8:9::8 dev n0 proto 173 metric 1', {
    family: 'inet6',
  });
  const steps = [...planOf(), pin];
  room.t.same((await room.apply(steps)).map(outcomeOf), Array(6).fill('done'));
  room.t.equal((await room.strictChunks()).length, 2, 'one exchange for each');
  room.t.equal(await room.asked(), '', 'nobody else is asked');
  await room.forget();
  const more = [stepOf('add', '198.51.100.9 dev n1 proto 173'), refused];
  room.t.same((await room.apply(more)).map(outcomeOf), ['failed', 'done'], 'that of IPv6 is refused');
});

scenario('steps of IPv6 only', async room => {
  await room.machine.ip('-6 address add 2001:db8::1/64 dev n0 nodad');
  await room.strict6();
  const pin = stepOf('add', '2001:db8:f::5 via 2001:db8::8 dev n0 proto 173 metric 1', { family: 'inet6' });
  room.t.same((await room.apply([pin])).map(outcomeOf), ['done']);
  const [chunk, ...more] = await room.strictChunks();
  room.t.match(chunk?.split('\n').slice(1), barrier);
  room.t.same(more, []);
  const { routes } = await room.kernel.observe({ forwarding: false, destinations: [], news: 'after' });
  room.t.ok(
    routes.some(({ dst }) => dst === '2001:db8:f::5'),
    'it is known at once',
  );
  room.t.equal(await room.asked(), '', 'without a question');
});

/** What is in the main table to begin with, and when the whole plan is done; the kernel's own route aside. */
const tableBefore = ['198.51.100.0/24 dev n0 proto 173', 'default via 10.0.0.7 dev n0 proto dhcp metric 302'];
const wholeTable = [
  '203.0.113.5 via 10.0.0.8 dev n0 proto 173',
  '203.0.113.6 via 10.0.0.8 dev n0 proto 173',
  'default dev n1 proto 173',
];

const planned = new Set([...tableBefore, ...wholeTable]);

/** Two pins, the default that needs them, the uplink's default that goes when all are there, and a route of ours that goes. */
function planOf(): Step[] {
  const pins = wholeTable.slice(0, 2).map(line => stepOf('add', line));
  const ours = stepOf('add', 'default dev n1 proto 173', { stage: 1, needs: pins });
  const [obsolete = '', theirs = ''] = tableBefore;
  return [
    ...pins,
    ours,
    stepOf('delete', theirs, { stage: 3, needs: [...pins, ours] }),
    stepOf('delete', obsolete, { stage: 3 }),
  ];
}

function stepOf(
  kind: 'add' | 'delete',
  line: string,
  { stage = 0, needs = [], family = 'inet' }: { stage?: number; needs?: Step[]; family?: Family } = {},
): Step {
  const route = parseRoute(line, family);
  if (route === undefined) throw new Error(`not a route: ${line}`);
  if (kind === 'add') return { kind: 'add-route', purpose: 'pin', route, stage, needs };
  return { kind: 'delete-route', because: 'obsolete', route, stage, needs };
}

/** All that have to be carried out before it. */
function needsOf(step: Step): Step[] {
  return step.needs.flatMap(needed => [needed, ...needsOf(needed)]);
}

function outcomeOf(result: StepResult | undefined): string {
  if (result === undefined) return 'no result';
  const { error, skipped = false, unsure = false } = result;
  const words = skipped ? 'skipped' : error === undefined ? 'done' : 'failed';
  return unsure ? `${words}, unsure` : words;
}

/** A kernel's room on a machine with n0 (up, 10.0.0.1/24) and n1 (up), whose strict `ip` waits for work. */
function scenario(name: string, story: (room: Room) => Promise<void>): void {
  onMachine(t, { name, timeout: 30_000 }, async (machine, t) => {
    for (const device of ['n0', 'n1']) {
      await machine.ip(`link add ${device} type bridge`);
      await machine.ip(`link set ${device} up`);
    }
    await machine.ip('address add 10.0.0.1/24 dev n0');
    for (const line of tableBefore) await machine.ip(`route add ${line}`);
    const room = await Room.on(machine, t);
    t.teardown(() => room.kernel.close());
    await story(room);
  });
}

/** Hands on what it reads, and logs each read. `die N`, `hang N` in the file of orders: once, and of the strict one only, after so many lines. */
const ip = String.raw`
my ($directory, $name, @ip) = @ARGV;
$SIG{CHLD} = sub { exit };
open my $to, '|-', @ip or die;
select((select($to), $| = 1)[0]);
while (sysread STDIN, my $said, 65536) {
  open my $log, '>>', "$directory/$name" or die;
  print $log "$said\0";
  close $log;
  my ($order, $left) = ('', -1);
  if ($name eq 'strict' && open my $orders, '<', "$directory/orders") { ($order, $left) = split ' ', <$orders>; unlink "$directory/orders" }
  for my $line (split /(?<=\n)/, $said) {
    last if $left == 0;
    syswrite $to, $line;
    $left--;
  }
  next if $left != 0;
  sleep 1000 if $order eq 'hang';
  close $to;
  exit;
}
`;

class Room {
  readonly machine: Machine;
  readonly t: Test;
  readonly kernel: Kernel;

  static async on(machine: Machine, t: Test): Promise<Room> {
    const { directory } = machine;
    await writeFile(join(directory, 'ip.pl'), ip);
    const environment = await machine.environment(
      `case "$*" in
       *monitor*) exec "$@" ;;
       *-force*) exec perl ${directory}/ip.pl ${directory} asked "$@" ;;
       *) exec perl ${directory}/ip.pl ${directory} strict "$@" ;;
       esac`,
    );
    const room = new Room(machine, t, environment);
    room.kernel.listen();
    await room.isStrictAgain();
    return room;
  }

  private constructor(machine: Machine, t: Test, environment: NodeJS.ProcessEnv) {
    this.machine = machine;
    this.t = t;
    const ignore = () => undefined;
    this.kernel = new Kernel({ environment, deadline: 400, onHint: ignore, onTrouble: ignore });
  }

  apply(steps: readonly Step[]): Promise<StepResult[]> {
    return this.kernel.apply(steps);
  }

  /** As the daemon does it: what was unsure is carried out again where the table does not show it. @returns the outcomes */
  async settle(steps: readonly Step[], mostRounds: number): Promise<string[]> {
    const outcomes = new Map<Step, string>();
    let due = [...steps];
    for (let round = 1; due.length > 0; round++) {
      if (round > mostRounds) throw new Error(`${due.length} steps are open after ${mostRounds} rounds`);
      for (const result of await this.apply(due)) outcomes.set(result.step, outcomeOf(result));
      const there = new Set(await this.routes());
      const isThere = (step: Step) =>
        'route' in step &&
        planned.has(step.route.line) &&
        there.has(step.route.line) === (step.kind === 'add-route');
      due = due.filter(step => outcomes.get(step)?.endsWith('unsure'));
      for (const step of due) if (isThere(step)) outcomes.set(step, 'done');
      due = due.filter(step => !isThere(step));
      for (const step of due) step.needs = step.needs.filter(needed => due.includes(needed));
    }
    return steps.map(step => outcomes.get(step) ?? 'no result');
  }

  /** The main table, without the kernel's own. */
  async routes(): Promise<string[]> {
    const lines = (await this.machine.ip('route show')).split('\n');
    return lines
      .filter(line => line !== '' && !line.includes('proto kernel'))
      .map(shown)
      .sort();
  }

  async strictShall(order: string): Promise<void> {
    await writeFile(join(this.machine.directory, 'orders'), order);
  }

  /** What the strict batches have read since `forget`, a write each. */
  async strictChunks(): Promise<string[]> {
    const text = await readFile(join(this.machine.directory, 'strict'), 'utf8').catch(() => '');
    return text
      .split('\0')
      .filter(chunk => chunk !== '')
      .map(chunk => chunk.trimEnd());
  }

  /** What the others have been asked since. */
  async asked(): Promise<string> {
    return readFile(join(this.machine.directory, 'asked'), 'utf8').catch(() => '');
  }

  async forget(): Promise<void> {
    for (const file of ['strict', 'asked']) await writeFile(join(this.machine.directory, file), '');
  }

  /** Waits until a strict batch is used again, and a look needs no reading. */
  async isStrictAgain(): Promise<void> {
    for (let attempt = 1; attempt < 100; attempt++) {
      await this.forget();
      await this.kernel.observe({ forwarding: false, destinations: inSight, news: 'all' });
      if ((await this.strictChunks()).length === 1 && (await this.asked()) === '') return this.forget();
      await sleep(30);
    }
    this.t.fail('no strict batch is used');
  }

  /** The one of IPv6 is started when it was first needed. */
  async strict6(): Promise<void> {
    for (let attempt = 1; attempt < 100; attempt++) {
      await this.forget();
      await this.apply([stepOf('delete', '2001:db8:f::1 dev n0 metric 1', { family: 'inet6' })]);
      if ((await this.strictChunks()).length > 0) break;
      await sleep(30);
    }
    await this.apply([stepOf('add', '2001:db8:f::2 dev n0 metric 1 proto 173', { family: 'inet6' })]);
    await sleep(60);
    await this.isStrictAgain();
  }
}

/** A line of `ip route show` in the words of the plan. */
function shown(line: string): string {
  return line.replace(/ (scope link|linkdown)\b/g, '').trim();
}
