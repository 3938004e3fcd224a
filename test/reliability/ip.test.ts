// `ip` is missing, hangs, dies, says nonsense, loses messages, or may not change anything.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { type Lab, linkAlone, onLink, scenario } from '../netns/lab.ts';
import type { Started } from '../netns/namespace.ts';
import { startBy, statusThat } from './daemon.ts';
import { sayFigures } from './figure.ts';
import { find, MoodyIp } from './moody-ip.ts';
import { Stopwatch } from './stopwatch.ts';

/**
 * How soon trouble is said, and how soon after its end all is right; milliseconds. Where it has just been asked, it is given
 * up after two seconds, asked again after five, and the monitor once more after five.
 */
const limits = { said: 5000, recovered: 15_000, hook: 3500 };
const worst = { said: 0, recovered: 0, hook: 0 };
let troubles = 0;
t.teardown(() =>
  sayFigures(t, 'ip', {
    troubles,
    'slowest-said-ms': Math.round(worst.said),
    'slowest-recovery-ms': Math.round(worst.recovered),
    'slowest-hook-ms': Math.round(worst.hook),
  }),
);

class Machine {
  readonly lab: Lab;
  readonly #ip: MoodyIp;
  #daemon: Started | undefined;
  log = '';
  started = new Stopwatch();

  static async on(lab: Lab, manner = 'well'): Promise<Machine> {
    const machine = new Machine(lab, await MoodyIp.in(lab, manner));
    await lab.machine({ daemon: false });
    await machine.start();
    return machine;
  }

  private constructor(lab: Lab, ip: MoodyIp) {
    this.lab = lab;
    this.#ip = ip;
  }

  /** Its status goes into a file, as the service manager would be told. */
  async start(script = ''): Promise<void> {
    const setUp = `${script} export PATH=${this.#ip.path}; exec 7>>${this.lab.directory}/told;`;
    this.started = new Stopwatch();
    this.#daemon = startBy(this.lab, `${setUp} exec "$@"`, { PPP_ROUTED_NOTIFY_FD: '7' });
    this.#daemon.stdout.on('data', chunk => {
      this.log += chunk;
    });
    // Where it waits for an ip that hangs it says so before it listens.
    await Promise.race([statusThat(this.lab, () => true, 10_000), this.isDegraded()]);
  }

  async stop(): Promise<void> {
    this.#daemon?.kill('SIGTERM');
    await this.#daemon;
  }

  get pid(): number {
    return this.#daemon?.pid ?? 0;
  }

  /** From now on, for those that run and those to come. */
  async ipBecomes(manner: string): Promise<void> {
    await this.ipIs(manner);
    await this.signal('SIGKILL');
  }

  /** For those that are started from now on. */
  async ipIs(manner: string): Promise<void> {
    await this.#ip.becomes(manner);
  }

  async signal(signal: NodeJS.Signals, which: 'batch' | 'monitor' | 'all' = 'all'): Promise<void> {
    for (const { pid, words } of await this.ips())
      if (which === 'all' || words.includes(which)) process.kill(pid, signal);
  }

  /** The processes that the daemon has started and that are still there. */
  async ips(): Promise<{ pid: number; words: string }[]> {
    const children = await readFile(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8');
    const pids = children.split(' ').filter(Boolean).map(Number);
    const found = pids.map(async pid => {
      const words = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      return { pid, words: words.replaceAll('\0', ' ') };
    });
    return (await Promise.all(found)).filter(({ words }) => words !== '');
  }

  /** Resolves when the service manager has been told so. */
  async isDegraded(): Promise<void> {
    await this.lab.until(async () => (await this.told()).startsWith('degraded: '), 10_000);
  }

  /** What the service manager was told last. */
  async told(): Promise<string> {
    const text = await readFile(join(this.lab.directory, 'told'), 'utf8').catch(() => '');
    return text.slice(text.lastIndexOf('STATUS=') + 'STATUS='.length);
  }
}

interface Trouble {
  begin(machine: Machine): Promise<void>;
  /** undefined: it passes by itself, or there is none that anybody needs to hear of. */
  end?(machine: Machine): Promise<void>;
  /** It may or may not stand in the way. */
  isHarmless?: boolean;
}

const become = (manner: string, isHarmless = false): Trouble => ({
  begin: machine => machine.ipBecomes(manner),
  end: machine => machine.ipIs('well'),
  isHarmless,
});

/** All of these begin while the daemon runs, and end while it runs. */
const whileRunning: Record<string, Trouble> = {
  'it is missing': become('missing'),
  'it hangs, and SIGTERM does not end it': become('hang'),
  'it ends at once with a complaint': become('fail'),
  'it says nonsense only': become('nonsense'),
  'its lines are cut': become('cut 40'),
  'the lines of its monitor are cut': become('blur 40', true),
  'those that run are stopped': { begin: machine => machine.signal('SIGSTOP') },
  'those that run are killed': { begin: machine => machine.signal('SIGKILL') },
  'it says nonsense before it begins': become('prattle', true),
  'it says nonsense between its lines': become('interrupt', true),
  'it dies after 50 ms': become('mortal', true),
};

for (const [says, { begin, end, isHarmless }] of Object.entries(whileRunning)) {
  scenario(`ip: ${says}`, async (lab, t) => {
    const machine = await Machine.on(lab);
    await lab.connect('ppp0');
    await begin(machine);
    const began = new Stopwatch(machine.pid);
    await isPatient(lab, t, 'ip-up');
    if (end !== undefined) {
      if (!isHarmless) await saysSo(machine, t, began);
      t.ok((await lab.lines('route show default')).length > 0, 'there is a default all the while');
      await sleep(500);
      t.ok((await machine.ips()).length <= 6, 'those that hang are not left behind');
    }
    await end?.(machine);
    await recovers(machine, onLink);
    await leavesNone(machine, t);

    await begin(machine);
    await lab.ip('link set ppp0 down');
    await lab.ip('address del 10.99.0.2 peer 10.99.0.1/32 dev ppp0');
    await isPatient(lab, t, 'ip-down');
    await lab.ip('link del ppp0');
    if (end !== undefined && !isHarmless) await saysSo(machine, t, new Stopwatch(machine.pid));
    await end?.(machine);
    await lab.restored(limits.recovered);
    await leavesNone(machine, t);
    troubles += 2;
  });
}

for (const manner of ['cut 20', 'cut 40', 'cut 80', 'cut 120', 'blur 20', 'blur 40', 'blur 80']) {
  scenario(`ip: its lines are cut while a link is up: ${manner}`, async (lab, t) => {
    const machine = await Machine.on(lab);
    await lab.up('ppp0');
    const before = await lab.state();
    await machine.ipBecomes(manner);
    // Something to look for, and then the comparison of what is known with what is there.
    await lab.ip('address add 192.168.1.11/24 dev eth0');
    await lab.ip('address del 192.168.1.11/24 dev eth0');
    await sleep(3000);
    await lab.shows(onLink, 'what cannot be seen is not changed');
    t.same(await lab.state(), before, 'nothing is forgotten');
    await machine.ipIs('well');
    await recovers(machine, onLink);
    await leavesNone(machine, t);
    await lab.down('ppp0');
    await lab.restored();
    troubles++;
  });
}

for (const manner of ['missing', 'hang', 'fail', 'nonsense', 'cut 40']) {
  scenario(`ip from the start: ${manner}`, async (lab, t) => {
    const machine = await Machine.on(lab, manner);
    await saysSo(machine, t, machine.started);
    await lab.connect('ppp0');
    await isPatient(lab, t, 'ip-up');
    await machine.ipIs('well');
    await recovers(machine, onLink);
    await leavesNone(machine, t);
    await lab.down('ppp0');
    await lab.restored();
    troubles++;
  });
}

scenario('ip hangs in the middle: what it displaced stays saved, and comes back', async (lab, t) => {
  const machine = await Machine.on(lab, 'until route del default');
  const uplink = 'default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100';
  const isSaved = async (because: string) =>
    t.match(await lab.state(), { savedDefaults: [{ route: uplink }] }, because);
  await lab.connect('ppp0');
  await isPatient(lab, t, 'ip-up');
  t.notOk((await lab.lines()).includes(uplink), 'it is displaced');
  await recovers(machine, onLink);
  await isSaved('when ip is well again');

  await machine.ipBecomes('until route append default');
  await recovers(machine, onLink);
  await lab.ip('link set ppp0 down');
  await lab.ip('address del 10.99.0.2 peer 10.99.0.1/32 dev ppp0');
  await isPatient(lab, t, 'ip-down');
  // The daemon has seen the link go before the hook said so, and may have been let down and have come to its end by now.
  const { savedDefaults } = await lab.state();
  t.ok(
    savedDefaults.length > 0 || (await lab.lines()).includes(uplink),
    'on its way back it is saved or there',
  );
  await lab.ip('link del ppp0');
  await lab.restored(limits.recovered);
  await statusThat(lab, ({ degraded, savedDefaults }) => !degraded && savedDefaults.length === 0, 15_000);
  await leavesNone(machine, t);
  troubles += 2;
});

/** Another default comes by another's hand: with a monitor that is well it is folded into the saved ones, and pins follow. */
const renewal = 'default via 192.168.1.254 dev eth0 proto dhcp src 192.168.1.10 metric 100';
const renewed = onLink.replace('203.0.113.5 via 192.168.1.1 ', '203.0.113.5 via 192.168.1.254 ');

const deaf: Record<
  string,
  { manner?: string; before(machine: Machine): Promise<void>; after?(machine: Machine): Promise<void> }
> = {
  'it is killed': { before: machine => machine.signal('SIGKILL', 'monitor') },
  'its buffer overflows': {
    manner: 'tight',
    before: async machine => {
      await machine.signal('SIGSTOP', 'monitor');
      await flood(machine.lab);
    },
    after: async machine => {
      await flood(machine.lab);
      await machine.signal('SIGCONT', 'monitor');
    },
  },
};

for (const [says, { manner, before, after }] of Object.entries(deaf)) {
  scenario(`ip monitor: ${says}, and an uplink changes meanwhile`, async (lab, t) => {
    const machine = await Machine.on(lab, manner);
    await lab.up('ppp0');
    await before(machine);
    await lab.ip(`route replace ${renewal}`);
    await after?.(machine);
    await recovers(machine, renewed);
    t.notMatch(
      machine.log,
      'were not as they were known',
      'not only by the comparison that comes some time later',
    );
    await lab.down('ppp0');
    await lab.comesToShow(`${renewal}\n 192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10`);
    t.notMatch(await lab.table(), ' proto 173');
    troubles++;
  });
}

scenario('ip monitor: it is stopped; the next event is not later for it', async (lab, t) => {
  const machine = await Machine.on(lab);
  await lab.connect('ppp0');
  await machine.signal('SIGSTOP', 'monitor');
  await lab.fine(lab.hook('ip-up', 'ppp0'));
  await lab.shows(onLink, 'right with the answer');
  await recovers(machine, onLink);
  await lab.ip(`route replace ${renewal}`);
  await lab.comesToShow(renewed);
  const monitors = (await machine.ips()).filter(({ words }) => words.includes('monitor'));
  t.equal(monitors.length, 1, 'another takes its place');
  troubles++;
});

scenario('ip may not change anything', async (lab, t) => {
  const machine = await Machine.on(lab);
  await machine.stop();
  await machine.start(`set -- ${find('setpriv')} --bounding-set=-net_admin --inh-caps=-net_admin "$@";`);
  await lab.connect('ppp0');
  const began = new Stopwatch(machine.pid);
  const { exitCode, stderr } = await lab.hook('ip-up', 'ppp0');
  t.equal(exitCode, 0);
  t.match(stderr, /^ppp-routed: error ROUTE .*Operation not permitted/);
  await saysSo(machine, t, began, /Operation not permitted/);
  await lab.shows(linkAlone, 'nothing is moved');
  await machine.stop();
  await machine.start();
  await recovers(machine, onLink);
  await lab.down('ppp0');
  await lab.restored();
  troubles++;
});

/** The hook comes back in good time, and does not complain: the event has been taken, or waits in the spool. */
async function isPatient(lab: Lab, t: Test, event: 'ip-up' | 'ip-down'): Promise<void> {
  const { exitCode, stderr, seconds } = await lab.hook(event, 'ppp0');
  worst.hook = Math.max(worst.hook, seconds * 1000);
  t.equal(exitCode, 0, 'the hook does not stand in the way of pppd');
  t.notMatch(stderr, /lost/, 'the event is not lost');
  t.ok(seconds * 1000 < limits.hook, `the hook took ${seconds.toFixed(2)} s`);
}

async function saysSo(machine: Machine, t: Test, began: Stopwatch, words = /\bip\b/): Promise<void> {
  await machine.isDegraded();
  const said = began.read(machine.pid);
  const { status } = await statusThat(machine.lab, ({ degraded }) => degraded, 10_000);
  worst.said = Math.max(worst.said, said);
  t.match(status.status, words);
  t.ok(said < limits.said, `said after ${Math.round(said)} ms`);
}

/** By itself. */
async function recovers({ lab, pid }: Machine, routes: string): Promise<void> {
  const began = new Stopwatch(pid);
  await statusThat(lab, ({ degraded }) => !degraded, limits.recovered);
  await lab.comesToShow(routes, limits.recovered);
  worst.recovered = Math.max(worst.recovered, began.read(pid));
}

/** One of each kind at most: two batches a family, where they have been needed, and the monitor. */
async function leavesNone(machine: Machine, t: Test): Promise<void> {
  const isOneOfEach = (ips: readonly { words: string }[]) =>
    ips.length <= 5 && new Set(ips.map(({ words }) => words)).size === ips.length;
  await machine.lab.until(async () => isOneOfEach(await machine.ips())).catch(() => undefined);
  const left = await machine.ips();
  t.ok(isOneOfEach(left), 'no process is left of it', { left });
}

/** Thousands of routes come and go: more than the monitor can be told. */
async function flood(lab: Lab): Promise<void> {
  const lines = Array.from({ length: 2000 }, (_, i) => `198.18.${i >> 8}.${i & 255}/32 dev eth0`);
  await lab.write(
    'flood',
    `${[...lines.map(line => `route add ${line}`), ...lines.map(line => `route del ${line}`)].join('\n')}\n`,
  );
  await lab.run('ip', '-batch', `${lab.directory}/flood`);
}
