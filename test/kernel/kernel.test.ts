// The kernel's room on a machine of its own: whatever happens to its `ip` processes, what it observes is what a fresh
// reading of the whole tables shows, and afterwards it needs no whole readings again.
import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { Step } from '../../src/core/decide/plan.ts';
import { parseRoute } from '../../src/core/route/route-line.ts';
import { Kernel } from '../../src/kernel/kernel.ts';
import { KernelCache } from '../../src/kernel/kernel-cache.ts';
import { countOf, seed } from '../form.ts';
import { drawing } from '../reliability/random.ts';
import { linesOf, type Machine, onMachine } from './machine.ts';
import { everyKind, happen, inSight } from './walk.ts';

t.jobs = 4;
const stepCount = countOf({ short: 60, whole: 120 });

scenario('what others do is known without whole readings', async room => {
  const before = await room.readings();
  for (const words of [
    'route add default via 10.0.0.8 dev n0 metric 5',
    'route add 198.51.100.0/24 dev n0',
    'address add 10.1.0.1/24 dev n0',
    'route del default via 10.0.0.8 dev n0 metric 5',
    'link set n1 up',
    '-6 route add 2001:db8:f::/48 dev n1',
    'link set n0 down',
    'rule add from all table 100 priority 99',
  ]) {
    await room.machine.ip(words);
    await room.isRight(words);
  }
  room.t.equal((await room.readings()) - before, 0, 'no whole reading');
  room.t.same(room.troubles, [], 'and no trouble');
});

scenario('a monitor that hangs', async room => {
  await room.signalMonitor('STOP');
  await room.machine.ip('route add default via 10.0.0.8 dev n0 metric 5');
  await room.isRight('a change that nobody told of');
  room.t.match(room.trouble, /does not tell what was changed/, 'is said');
  await room.machine.ip('link set n0 down');
  await room.isRight('the next one, at once');
  await room.isQuickAgain();
});

scenario('a monitor that hangs while an interface gets another name', async room => {
  await room.signalMonitor('STOP');
  await room.machine.ip('link set n0 name n9');
  await room.machine.ip('route add 198.51.100.0/24 dev n9');
  await room.isRight('the other name');
  await room.isQuickAgain();
});

scenario('a monitor that hangs while a name goes to another interface', async room => {
  await room.signalMonitor('STOP');
  await room.machine.ip('link del n0');
  await room.machine.ip('link add n0 type bridge');
  await room.machine.ip('link set n0 up');
  await room.apply('prepend', '198.51.100.0/24 dev n0 proto 173');
  await room.isRight('our route leads through the other one');
  room.t.match(await room.machine.ip('route show proto 173'), /198.51.100.0\/24 dev n0/);
  await room.isQuickAgain();
});

scenario('an echo that a daemon before left behind', async room => {
  for (const id of [4173000000, 4173000001]) await room.machine.ip(`nexthop add id ${id} blackhole`);
  await room.isRight('with it');
  await room.isRight('it is taken away');
  room.t.equal(await room.machine.ip('nexthop show'), '');
  await room.isQuickAgain();
});

scenario('a monitor that is killed', async room => {
  await room.signalMonitor('KILL');
  await room.machine.ip('route add default via 10.0.0.8 dev n0 metric 5');
  await room.isRight('a change that nobody told of');
  room.t.match(room.troubles.join('\n'), /ip monitor/, 'is said');
  await room.isQuickAgain();
});

scenario(
  'a monitor that is slow',
  async room => {
    for (const words of ['route add default via 10.0.0.8 dev n0', 'link set n0 down', 'link set n1 up']) {
      await room.machine.ip(words);
      await room.isRight(words);
    }
  },
  { monitor: slowed(0.03) },
);

scenario(
  'a monitor that is too slow',
  async room => {
    for (const words of ['route add default via 10.0.0.8 dev n0', 'link set n0 down', 'link set n1 up']) {
      await room.machine.ip(words);
      await room.isRight(words);
    }
    room.t.match(room.trouble, /whole tables are read/, 'is said');
  },
  { monitor: slowed(2) },
);

scenario(
  'no monitor at all',
  async room => {
    for (const words of [
      'route add default via 10.0.0.8 dev n0',
      'link set n0 down',
      'link set n1 name n7',
    ]) {
      await room.machine.ip(words);
      await room.isRight(words);
    }
    room.t.match(room.trouble, /ip monitor/, 'is said');
  },
  { monitor: 'echo nothing to see >&2; exit 3' },
);

scenario('no interface is up', async room => {
  for (const name of ['n0', 'echo0', 'lo']) await room.machine.ip(`link set ${name} down`);
  await room.isRight('all down');
  await room.machine.ip('rule add from all table 100 priority 99');
  await room.machine.ip('route add unreachable default metric 7');
  await room.isRight('a change while all are down');
  for (const name of ['lo', 'n0', 'echo0']) await room.machine.ip(`link set ${name} up`);
  await room.isRight('all up');
  await room.isQuickAgain();
});

scenario('more is said than the monitor can take', async room => {
  const file = join(room.machine.directory, 'flood');
  const routes = Array.from({ length: 20_000 }, (_, i) => `10.128.${i >> 8}.${i & 255}`);
  await appendFile(file, routes.map(route => `route add ${route}/32 dev n0\n`).join(''));
  await room.signalMonitor('STOP');
  await room.machine.ip(`-batch ${file}`);
  await room.machine.ip('route add default via 10.0.0.8 dev n0 metric 5');
  await room.signalMonitor('CONT');
  // It has said all that it could take before it is asked: that something was lost is all there is to go by.
  await sleep(1200);
  const before = await room.readings();
  await room.isRight('after a flood');
  room.t.ok((await room.readings()) > before, 'by a whole reading');
  room.t.same(room.drifts, [], 'and not by a comparison');
  await room.machine.ip('link set n0 down');
  await room.isRight('without the flood');
  await room.isQuickAgain();
});

scenario('an interface gets another name', async room => {
  await room.machine.ip('route add 198.51.100.0/24 via 10.0.0.8');
  await room.isRight('before');
  await room.machine.ip('link set n0 name n9');
  await room.machine.ip('route add default via 10.0.0.7');
  await room.isRight('after');
  await room.apply('prepend', '203.0.113.5 dev n9 proto 173');
  await room.isRight('our own route through it');
  await room.machine.ip('link set n1 name n0');
  await room.machine.ip('link set n0 up');
  await room.apply('prepend', '203.0.113.5 dev n0 proto 173');
  await room.isRight('and through another that took the name');
  await room.isQuickAgain();
});

scenario('a name and an index come back', async room => {
  for (const index of [41, 42, 41]) {
    await room.machine.ip('link del n0');
    await room.machine.ip(`link add n0 index ${index} type veth peer name m0`);
    await room.machine.ip('link set m0 up');
    await room.machine.ip('link set n0 up');
    await room.apply('prepend', '203.0.113.5 dev n0 proto 173');
    await room.isRight(`n0 is ${index}`);
    room.t.match(
      await room.machine.ip('route show proto 173'),
      /203.0.113.5 dev n0/,
      'our route leads through it',
    );
  }
  await room.machine.ip('link del n0');
  await room.machine.ip('link add k0 index 41 type veth peer name l0');
  await room.machine.ip('link set k0 up');
  await room.machine.ip('route add 198.51.100.0/24 dev k0');
  await room.isRight('an index of before with a name of its own');
  await room.isQuickAgain();
});

scenario('an ip that is killed between two questions', async room => {
  for (const words of ['route add default via 10.0.0.8 dev n0', 'link set n1 up']) {
    await room.killBatches();
    await room.machine.ip(words);
    await room.isRight(words);
  }
  await room.killBatches();
  await room.apply('prepend', '203.0.113.5 dev n0 proto 173');
  await room.isRight('our own route');
  await room.isQuickAgain();
});

scenario('our own changes are known at once', async room => {
  const before = await room.readings();
  await room.apply('prepend', 'default dev n0 proto 173');
  await room.isRight('prepended', { afterChange: true });
  for (const via of ['10.0.0.7', '10.0.0.8', '10.0.0.9']) {
    await room.apply('restore', `default via ${via} dev n0 proto dhcp metric 5`);
    await room.isRight(`appended, via ${via}`, { afterChange: true });
  }
  await room.apply('delete', 'default dev n0 proto 173');
  await room.isRight('deleted', { afterChange: true });
  room.t.equal((await room.readings()) - before, 0, 'without a whole reading');
  await room.apply('prepend', 'default via 192.0.2.1 dev n0 proto 173', 'Nexthop has invalid gateway.');
  await room.isRight('refused', { afterChange: true });
});

scenario('an IPv6 address that changes in place', async room => {
  const before = await room.readings();
  await room.machine.ip('-6 address add fe80::1/128 dev n0 nodad');
  // addrconf_dad_work() announces it, after ip has ended.
  await room.isRight('added', { looks: 20 });
  await room.machine.ip('-6 address change fe80::1 peer fe80::2/128 dev n0');
  await room.isRight('with a peer', { looks: 20 });
  await room.machine.ip('-6 address change fe80::1 peer fe80::3/128 dev n0');
  await room.isRight('with another', { looks: 20 });
  const { addresses } = await room.observe();
  room.t.match(
    addresses.filter(({ address }) => address === 'fe80::1'),
    [{ peer: 'fe80::3' }],
    'there is one address',
  );
  await room.machine.ip('-6 address del fe80::1 peer fe80::3/128 dev n0');
  await room.isRight('deleted');
  room.t.equal((await room.readings()) - before, 0, 'without a whole reading');
});

scenario('looks while others make changes without a pause', async room => {
  const script = `for i in $(seq 150); do
    ip link set n0 down; ip link set n0 up; ip route add default via 10.0.0.8 dev n0 metric $((i % 3))
    ip link del n1; ip link add n1 type bridge; ip link set n1 up; ip addr add 10.1.0.1/24 dev n1
  done`;
  const others = room.machine.run('/bin/sh', '-c', script);
  let isOver = false;
  void others.then(() => {
    isOver = true;
  });
  let looks = 0;
  for (; !isOver; looks++) {
    await room.observe();
    await sleep(5);
  }
  room.t.comment(`${looks} looks`);
  await others;
  await room.isRight('in the end');
  await room.isQuickAgain();
});

scenario(
  'a monitor that leaves something out',
  async room => {
    await room.machine.ip('route add 198.51.100.0/24 dev n0');
    await room.machine.ip('route add 203.0.113.5 dev n0');
    const { routes } = await room.observe();
    room.t.notOk(
      routes.some(({ dst }) => dst === '203.0.113.5'),
      'what it left out is not known',
    );
    await room.untilNews(20_000);
    await room.isRight('it is, some time after');
    room.t.match(room.drifts, [/203\.0\.113\.5 dev n0 scope link.* was not known/], 'and that is said');
    const before = await room.readings();
    await sleep(3000);
    room.t.equal(room.kernel.hasNews, false, 'then there is peace');
    room.t.equal(await room.readings(), before, 'and nothing is read');
  },
  { monitor: `"$@" | setpriv --pdeathsig KILL sed -u '/203\\.0\\.113\\.5/d'` },
);

scenario(
  `${stepCount} steps of any kind, seed ${seed}`,
  async room => {
    const draw = drawing(seed);
    let { reading } = await room.machine.step([]);
    for (let step = 1; step <= stepCount && room.t.passing(); step++) {
      const { kind, commands } = happen(everyKind, reading, draw);
      ({ reading } = await room.machine.step(commands));
      await room.isRight(`${seed}/${step} ${kind}: ${commands.join('; ')}`, { looks: 5 });
    }
  },
  { timeout: 60_000 + stepCount * 1000 },
);

/** A kernel's room on a machine with n0 (up, 10.0.0.1/24) and n1. */
function scenario(
  name: string,
  story: (room: Room) => Promise<void>,
  { monitor = 'exec "$@"', timeout = 60_000 }: { monitor?: string; timeout?: number } = {},
): void {
  onMachine(t, { name, timeout }, async (machine, t) => {
    for (const device of ['n0', 'n1']) await machine.ip(`link add ${device} type bridge`);
    await machine.ip('link set n0 up');
    await machine.ip('address add 10.0.0.1/24 dev n0');
    const room = await Room.on(machine, { t, monitor });
    t.teardown(() => room.kernel.close());
    await room.isRight('to begin with');
    await story(room);
  });
}

class Room {
  readonly machine: Machine;
  readonly t: Test;
  readonly kernel: Kernel;
  readonly troubles: string[] = [];
  readonly drifts: string[] = [];
  /** What is wrong with the monitor now. */
  trouble: string | undefined;

  static async on(machine: Machine, { t, monitor }: { t: Test; monitor: string }): Promise<Room> {
    const { directory } = machine;
    const environment = await machine.environment(
      `case "$*" in
       *monitor*) echo $$ >${directory}/monitor; ${monitor} ;;
       *) echo $$ >>${directory}/batches; tee -a ${directory}/asked | "$@" ;;
       esac`,
    );
    await appendFile(join(directory, 'asked'), '');
    return new Room(machine, t, environment);
  }

  private constructor(machine: Machine, t: Test, environment: NodeJS.ProcessEnv) {
    this.machine = machine;
    this.t = t;
    this.kernel = new Kernel({
      environment,
      deadline: 5000,
      onHint: () => undefined,
      onTrouble: message => {
        this.trouble = message;
        if (message !== undefined) this.troubles.push(message);
      },
      onDrift: message => this.drifts.push(message),
    });
    this.kernel.listen();
  }

  observe({ afterChange } = { afterChange: false }) {
    const news = afterChange ? 'after' : 'all';
    return this.kernel.observe({ forwarding: false, destinations: inSight, news });
  }

  /** What is observed is what is there; at random, something may come between the two looks that the kernel does by itself. */
  async isRight(story: string, { afterChange = false, looks = 1 } = {}): Promise<void> {
    const fresh = new KernelCache(() => undefined);
    for (let look = 1; ; look++) {
      const known = linesOf(await this.observe({ afterChange }));
      fresh.take((await this.machine.step([])).reading);
      const there = linesOf(fresh.observed(inSight));
      if (look === looks || known.join('\n') === there.join('\n'))
        return void this.t.same(known, there, story);
      await sleep(30);
    }
  }

  /** Waits until the room wants to be asked. */
  async untilNews(milliseconds: number): Promise<void> {
    for (const begun = performance.now(); !this.kernel.hasNews; await sleep(20))
      if (performance.now() - begun > milliseconds) throw new Error(`no news within ${milliseconds} ms`);
  }

  /** The monitor is heard again, that is said, and whole readings are over. */
  async isQuickAgain(): Promise<void> {
    for (let attempt = 1; attempt < 60; attempt++) {
      await this.observe();
      const before = await this.readings();
      await this.machine.ip('rule add from all table 100 priority 98');
      await this.machine.ip('rule del priority 98');
      await this.isRight('quick again');
      if (this.trouble === undefined && (await this.readings()) === before) return;
      await sleep(100);
    }
    this.t.fail(`whole tables are still read; ${this.trouble}`);
  }

  /** How often whole tables were read. */
  async readings(): Promise<number> {
    const asked = await readFile(join(this.machine.directory, 'asked'), 'utf8');
    return asked.split('\n').filter(line => line === 'link show').length;
  }

  async signalMonitor(signal: 'STOP' | 'CONT' | 'KILL'): Promise<void> {
    process.kill(Number(await readFile(join(this.machine.directory, 'monitor'), 'utf8')), `SIG${signal}`);
  }

  async killBatches(): Promise<void> {
    const pids = (await readFile(join(this.machine.directory, 'batches'), 'utf8')).trim().split('\n');
    for (const pid of pids.slice(-2)) {
      try {
        process.kill(Number(pid), 'SIGKILL');
      } catch {
        // It was not the last of its family.
      }
    }
  }

  /** One step of the daemon's, which the kernel takes, or refuses with that error. */
  async apply(how: 'prepend' | 'restore' | 'delete', line: string, refusal?: string): Promise<void> {
    const route = parseRoute(line, 'inet');
    if (route === undefined) throw new Error(`not a route: ${line}`);
    const common = { route, stage: 0, needs: [] };
    const step: Step =
      how === 'delete'
        ? { kind: 'delete-route', because: 'obsolete', ...common }
        : { kind: 'add-route', purpose: how === 'restore' ? 'restore' : 'default', ...common };
    await this.observe();
    const [result] = await this.kernel.apply([step]);
    this.t.equal(result?.error, refusal, `${how} ${line}`);
  }
}

/** Every line of the monitor comes so many seconds late. */
function slowed(seconds: number): string {
  // What was said to begin with comes in a row, not at once.
  const perl = `$| = 1; select undef, undef, undef, 0.4; while (<STDIN>) { select undef, undef, undef, ${seconds}; print }`;
  return `"$@" | setpriv --pdeathsig KILL perl -e '${perl}'`;
}
