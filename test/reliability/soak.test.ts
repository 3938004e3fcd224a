// Links that come and go for a long time, and very many of them: the daemon is as it was when they have gone.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { unitEnvironment, unitFlags } from '../bench/machine.ts';
import { childrenOf, cpuOf, idleAfter, memoryOf } from '../bench/process.ts';
import { countOf, isLong } from '../form.ts';
import { type Lab, scenario } from '../netns/lab.ts';
import { sayFigures } from './figure.ts';

/** Ups and downs: what `--count` is for. */
const flaps = countOf({ short: 300, whole: 1500, long: 100_000 });
const links = isLong ? 5000 : 300;
/** Megabytes of resident memory. */
const mostGrowth = 5;
/** Percent of one processor, at rest. */
const mostCpu = 1;

/** As the unit runs it, and it can be told to collect garbage. */
const collecting = {
  ...unitEnvironment,
  NODE_OPTIONS: [...unitFlags, `--import=${join(import.meta.dirname, 'soak-collect.mjs')}`].join(' '),
};

const flapping = ['replace', 'metric', 'half', 'table'].map((mode, unit) => ({ mode, name: `ppp${unit}` }));
const flapProfiles = flapping
  .map(
    ({ mode, name }) => `
      [link.${name}]
      default-route = "${mode}"
      server = "203.0.113.${5 + Number(name.slice(3))}"
      networks = ["198.18.${name.slice(3)}.0/24"]
      ipv6 = "block"
    `,
  )
  .join('');

scenario(`${flaps} flaps`, async (lab, t) => {
  t.teardown(() => flapsDone());
  await lab.machine({ profiles: flapProfiles, daemon: false });
  await neighbours(lab);
  const before = await lab.table();
  await lab.startDaemon(collecting);
  const daemon = new Daemon(lab);

  const done = flapping.map(() => 0);
  const each = flaps / flapping.length;
  /** Every lane goes on until it has flapped so often. */
  const flapUntil = (share: number) =>
    Promise.all(
      flapping.map(async ({ name }, lane) => {
        for (; (done[lane] ?? 0) < share * each; done[lane] = (done[lane] ?? 0) + 1) {
          const flap = done[lane] ?? 0;
          // pppd makes its interface anew; that takes longer than all the rest, so that not every flap does.
          if (flap % 20 === 0) await recreate(lab, name);
          await flapOnce(lab, name, flap % 100 === 99 ? 'hook' : 'socket');
        }
      }),
    );

  const warmUp = isLong ? 0.1 : 0.5;
  await flapUntil(warmUp);
  const first = await daemon.atRest();
  for (let tenth = 1; tenth <= 10; tenth++) {
    await flapUntil(warmUp + ((1 - warmUp) * tenth) / 10);
    if (isLong)
      t.comment(`${done.reduce((a, b) => a + b)} flaps, ${(await daemon.atRest()).resident.toFixed(1)} MB`);
  }
  const last = await daemon.atRest();
  t.ok(last.resident - first.resident < mostGrowth, `grown from ${first.resident} to ${last.resident} MB`);
  t.equal(last.descriptors, first.descriptors, 'as many descriptors as before');
  t.equal(last.children, first.children, 'as many processes as before');
  t.ok(last.cpu < mostCpu, `at rest it takes ${last.cpu} % of a processor`);
  t.ok(last.wakeups <= first.wakeups + 5, `at rest it wakes up ${last.wakeups} times a second`);

  for (const { name } of flapping) await lab.ip(`link del ${name}`);
  t.equal(await lab.table(), before, 'byte for byte as before');
  t.same(await lab.state(), { savedDefaults: [], links: [] }, 'nothing is left in the state');
  sayFigures(t, 'soak flaps', {
    flaps: done.reduce((a, b) => a + b),
    'resident-mb': last.resident.toFixed(1),
    'growth-mb': (last.resident - first.resident).toFixed(1),
    'own-growth-mb': (last.own - first.own).toFixed(1),
    descriptors: `${first.descriptors}..${last.descriptors}`,
    'cpu-at-rest-percent': last.cpu.toFixed(2),
    'wakeups-a-second': last.wakeups.toFixed(1),
  });
});

let flapsDone = () => {};
/** What is measured is measured alone. */
const afterFlaps = new Promise<void>(resolve => {
  flapsDone = resolve;
});

/** A link has one of so many networks behind it. */
const networks = Array.from({ length: 50 }, (_, i) => `198.19.${i}.0/24`);
const linkProfiles = networks
  .map((network, i) => `[link.site${i}]\nserver = "none"\nnetworks = ["${network}"]\n`)
  .join('');

scenario(`${links} links`, async (lab, t) => {
  await afterFlaps;
  await lab.machine({ profiles: linkProfiles, daemon: false });
  await manyLinks(lab, links);
  const before = await lab.table();
  await lab.startDaemon(collecting);
  const daemon = new Daemon(lab);

  const all = async (event: 'ip-up' | 'ip-down') => {
    const left = Array.from({ length: links }, (_, unit) => unit);
    const lane = async () => {
      for (let unit = left.pop(); unit !== undefined; unit = left.pop())
        await tell(lab, event, `ppp${unit}`, `site${unit % 50}`);
    };
    await Promise.all(Array.from({ length: 32 }, lane));
  };
  const rounds = isLong ? 10 : 3;
  const middle = Math.ceil(rounds / 2);
  const rests = new Map<number, { up: Rest; down: Rest }>();
  for (let round = 1; round <= rounds; round++) {
    const isMeasured = isLong || round === middle || round === rounds;
    await all('ip-up');
    t.equal((await lab.lines('route show proto 173')).length, links, `round ${round}: a route each`);
    const up = isMeasured && (await daemon.atRest());
    await all('ip-down');
    t.equal(await lab.table(), before, `round ${round}: byte for byte as before`);
    const down = isMeasured && (await daemon.atRest());
    if (!up || !down) continue;
    rests.set(round, { up, down });
    const resident = [up, down].map(rest => rest.resident.toFixed(1));
    t.comment(`round ${round}: ${resident[0]} MB with ${links} links, ${resident[1]} MB without`);
  }
  const [warm, last] = [rests.get(middle), rests.get(rounds)];
  if (warm === undefined || last === undefined) throw new Error('nothing was measured');
  for (const state of ['up', 'down'] as const) {
    const grown = last[state].resident - warm[state].resident;
    t.ok(grown < mostGrowth, `${state}: grown by ${grown} MB`);
    t.equal(last[state].descriptors, warm[state].descriptors, `${state}: as many descriptors as before`);
    t.equal(last[state].children, warm[state].children, `${state}: as many processes as before`);
    t.ok(last[state].cpu < mostCpu, `${state}: at rest it takes ${last[state].cpu} % of a processor`);
  }
  sayFigures(t, 'soak links', {
    links,
    'resident-mb': last.up.resident.toFixed(1),
    'growth-mb': (last.up.resident - warm.up.resident).toFixed(1),
    'resident-mb-afterwards': last.down.resident.toFixed(1),
    'growth-mb-afterwards': (last.down.resident - warm.down.resident).toFixed(1),
    descriptors: `${warm.up.descriptors}..${last.up.descriptors}`,
    'cpu-at-rest-percent': last.up.cpu.toFixed(2),
  });
});

interface Rest {
  /** Megabytes, without what is mapped from files. */
  own: number;
  /** Megabytes. */
  resident: number;
  descriptors: number;
  children: number;
  /** Percent of one processor, and how often a second it was put on one. */
  cpu: number;
  wakeups: number;
}

/** The daemon of a lab, seen from outside. */
class Daemon {
  readonly #pid: number;

  constructor(lab: Lab) {
    if (lab.daemonPid === undefined) throw new Error('no daemon runs');
    this.#pid = lab.daemonPid;
  }

  /** How it is when nothing has happened for a while, and without garbage. */
  async atRest(): Promise<Rest> {
    // What is retried, forgotten, tidied up or compared with the kernel (2 s after the last change) a moment later.
    await sleep(isLong ? 5000 : 3000);
    await this.#collect();
    return {
      ...(await this.#activity()),
      own: memoryOf(this.#pid).own,
      resident: memoryOf(this.#pid).resident,
      descriptors: (await readdir(`/proc/${this.#pid}/fd`)).length,
      children: childrenOf(this.#pid).length,
    };
  }

  /** V8 tidies up once more some seconds after the last work: until it sleeps, or as it is when that must be over. */
  async #activity(): Promise<Pick<Rest, 'cpu' | 'wakeups'>> {
    const seconds = isLong ? 10 : 3;
    for (const end = performance.now() + idleAfter; ; ) {
      const before = { cpu: cpuOf(this.#pid), wakeups: await this.#wakeups() };
      await sleep(seconds * 1000);
      const cpu = (cpuOf(this.#pid) - before.cpu) / (seconds * 10);
      const wakeups = ((await this.#wakeups()) - before.wakeups) / seconds;
      if (cpu < mostCpu || performance.now() > end) return { cpu, wakeups };
    }
  }

  /** Until nothing more is given back: V8 frees the pages of its heap over several collections, sometimes more and sometimes less. */
  async #collect(): Promise<void> {
    for (let before = Number.POSITIVE_INFINITY, time = 0; time < 10; time++) {
      process.kill(this.#pid, 'SIGUSR2');
      await sleep(500);
      const { resident } = memoryOf(this.#pid);
      if (time > 0 && before - resident < 0.5) return;
      before = resident;
    }
  }

  /** So often has its main thread waited for something. */
  async #wakeups(): Promise<number> {
    const status = await readFile(`/proc/${this.#pid}/status`, 'utf8');
    return Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(status)?.[1]);
  }
}

/** An up and a down, and both answered. */
async function flapOnce(lab: Lab, name: string, how: 'hook' | 'socket'): Promise<void> {
  for (const event of ['ip-up', 'ip-down'] as const) {
    if (how === 'hook')
      await lab.fine(lab.hook(event, name, { ipparam: name, environment: { PPPD_PID: '' } }));
    else await tell(lab, event, name, name);
  }
}

/** What a hook says, without the hook. */
async function tell(lab: Lab, event: 'ip-up' | 'ip-down', name: string, ipparam: string): Promise<void> {
  const unit = Number(name.slice(3));
  const ends = `local=10.99.${unit & 255}.2\nremote=10.99.${unit & 255}.1`;
  const said = await lab.say(`version=1\nevent=${event}\ninterface=${name}\n${ends}\nipparam=${ipparam}\n\n`);
  if (!said.startsWith('ok ')) throw new Error(`${event} of ${name} was answered: ${said}`);
}

/** pppd's part between two links of one name: another interface. */
async function recreate(lab: Lab, name: string): Promise<void> {
  await lab.run(
    '/bin/sh',
    '-c',
    `ip link del ${name} 2>/dev/null; printf '%s\\n' 'link add ${name} type veth peer name far-${name}' \
      'link set far-${name} up' 'address add 10.99.${name.slice(3)}.2 peer 10.99.${name.slice(3)}.1/32 dev ${name}' \
      'link set ${name} up' | ip -batch -`,
  );
}

/** No IPv6 address comes or goes by itself. */
async function neighbours(lab: Lab): Promise<void> {
  await lab.run('/bin/sh', '-c', 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6');
}

/** Both ends of a cable are links. */
async function manyLinks(lab: Lab, count: number): Promise<void> {
  await neighbours(lab);
  const lines = Array.from({ length: count }, (_, unit) => [
    ...(unit % 2 === 0 ? [`link add ppp${unit} type veth peer name ppp${unit + 1}`] : []),
    `address add 10.99.0.2 peer 10.100.${unit >> 8}.${unit & 255}/32 dev ppp${unit}`,
  ]).flat();
  const ups = Array.from({ length: count }, (_, unit) => `link set ppp${unit} up`);
  await lab.write('links', `${[...lines, ...ups].join('\n')}\n`);
  await lab.run('ip', '-batch', join(lab.directory, 'links'));
}
