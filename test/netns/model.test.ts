// Row 19: links of random profiles come, go and die, the daemon too, and after every step the table is the model's.
// TEST_SEED=7 TEST_COUNT=1000 npx tap --timeout=0 test/netns/model.test.ts
import type { Test } from 'tap';
import { countOf, seed } from '../form.ts';
import { type Lab, linesOf, scenario } from './lab.ts';

const seeds = [seed, seed + 1, seed + 2];
const stepCount = countOf({ short: 60, whole: 1000, long: 5000 });

const modes = ['replace', 'metric', 'half', 'table', 'none'];
const priorities = [0, 0, 0, 10];
const units = Array.from({ length: 16 }, (_, unit) => unit);
const gateways = ['192.168.1.1', '192.168.1.254', '192.168.1.253'];

/** A profile for every mode, priority and unit: each link has a server of its own, but some that need none. */
const profiles = modes.flatMap(mode =>
  [...new Set(priorities)].flatMap(priority =>
    units.map(unit => {
      const name = `${mode}-${priority}-${unit}`;
      return `[link.${name}]\ndefault-route = "${mode}"\npriority = ${priority}\nserver = "${serverOf({ unit, mode })}"\n`;
    }),
  ),
);

function serverOf({ unit, mode }: { unit: number; mode: string }): string {
  return mode === 'metric' && unit % 2 === 0 ? 'none' : `203.0.113.${10 + unit}`;
}

interface ModelLink {
  unit: number;
  mode: string;
  priority: number;
  /** The higher, the newer. */
  order: number;
}

/** What the machine should be like; knows nothing of plans, only of what is promised. */
class Model {
  links: ModelLink[] = [];
  gateway = '192.168.1.1';
  isRunning = true;
  /** What happened while the daemon was away and waits in the spool. */
  waiting: (() => void)[] = [];
  #order = 0;

  up(link: Omit<ModelLink, 'order'>): void {
    this.#tell(() => {
      if (!this.links.some(({ unit }) => unit === link.unit))
        this.links.push({ ...link, order: ++this.#order });
    });
  }

  down(unit: number): void {
    this.#tell(() => this.gone(unit));
  }

  gone(unit: number): void {
    this.links = this.links.filter(link => link.unit !== unit);
  }

  start(): void {
    this.isRunning = true;
    for (const happened of this.waiting.splice(0)) happened();
  }

  #tell(happened: () => void): void {
    if (this.isRunning) happened();
    else this.waiting.push(happened);
  }

  /** As `observe` prints it. */
  expected(): string[] {
    const candidates = this.links.filter(({ mode }) => mode !== 'none');
    const [carrier] = [...candidates].sort((a, b) => b.priority - a.priority || b.order - a.order);
    const displaced = candidates.some(({ mode }) => mode === 'replace');
    const dev = carrier === undefined ? 'eth0' : `ppp${carrier.unit}`;
    const lease = leaseVia(this.gateway);
    return [
      `the world: ${dev}`,
      ...this.links
        .map(serverOf)
        .filter(server => server !== 'none')
        .sort()
        .map(server => `server ${server}: eth0`),
      ...(displaced ? [] : [`uplink: ${lease}`]),
      ...(displaced ? [`saved: ${lease}`] : []),
      ...ownLines(carrier).map(line => `ours: ${line}`),
    ];
  }
}

function ownLines(carrier: ModelLink | undefined): string[] {
  if (carrier === undefined) return [];
  const dev = `ppp${carrier.unit}`;
  switch (carrier.mode) {
    case 'half':
      return [`0.0.0.0/1 dev ${dev} scope link`, `128.0.0.0/1 dev ${dev} scope link`];
    case 'table':
      return [`default dev ${dev} table 17300 scope link`];
    default:
      return [`default dev ${dev} scope link`];
  }
}

const leaseVia = (gateway: string) =>
  `default via ${gateway} dev eth0 proto dhcp src 192.168.1.10 metric 100`;

/** The machine in the same words. */
async function observe(lab: Lab, model: Model): Promise<string[]> {
  const dev = (address: string) => lab.deviceTo(address).catch(() => 'nowhere');
  const servers = [...new Set(model.links.map(serverOf).filter(server => server !== 'none'))].sort();
  const ours = linesOf(await lab.ip('route show table all proto 173'));
  const saved = (await lab.state().catch(() => ({ savedDefaults: [] }))).savedDefaults;
  const uplinks = (await lab.lines('route show default')).filter(line => !line.includes('proto 173'));
  return [
    `the world: ${await dev('198.51.100.7')}`,
    ...(await Promise.all(servers.map(async server => `server ${server}: ${await dev(server)}`))),
    ...uplinks.map(line => `uplink: ${line}`),
    ...saved.map(({ route }) => `saved: ${route}`),
    ...ours.filter(line => !line.startsWith('203.0.113.')).map(line => `ours: ${line}`),
  ];
}

interface Situation {
  lab: Lab;
  model: Model;
  /** The links that are there, whether the daemon knows or not. */
  present: Map<number, string>;
  choose<T>(from: readonly T[]): T;
}

/** What can happen. Each returns its story, or nothing where it cannot happen now. */
const happenings: Record<string, (s: Situation) => Promise<string | undefined>> = {
  up: async ({ lab, model, present, choose }) => {
    const free = units.filter(unit => !present.has(unit));
    if (free.length === 0) return undefined;
    const link = { unit: choose(free), mode: choose(modes), priority: choose(priorities) };
    const ipparam = `${link.mode}-${link.priority}-${link.unit}`;
    present.set(link.unit, ipparam);
    await lab.up(`ppp${link.unit}`, callOf(ipparam));
    model.up(link);
    return `ppp${link.unit} up, ${ipparam}`;
  },
  'up again': async ({ lab, present, choose }) => {
    if (present.size === 0) return undefined;
    const [unit, ipparam] = choose([...present]);
    await lab.fine(lab.hook('ip-up', `ppp${unit}`, callOf(ipparam)));
    return `ppp${unit} up once more`;
  },
  down: async ({ lab, model, present, choose }) => {
    if (present.size === 0) return undefined;
    const [unit, ipparam] = choose([...present]);
    present.delete(unit);
    await lab.down(`ppp${unit}`, callOf(ipparam));
    model.down(unit);
    return `ppp${unit} down`;
  },
  loss: async ({ lab, model, present, choose }) => {
    if (present.size === 0) return undefined;
    const [unit] = choose([...present]);
    present.delete(unit);
    await lab.ip(`link del ppp${unit}`);
    if (model.isRunning) model.gone(unit);
    else model.waiting.push(() => model.gone(unit));
    return `ppp${unit} is lost`;
  },
  'the daemon goes or comes': async ({ lab, model, choose }) => {
    if (model.isRunning) {
      const signal = choose(['SIGKILL', 'SIGTERM'] as const);
      await lab.stopDaemon(signal);
      model.isRunning = false;
      return `the daemon ends by ${signal}`;
    }
    await lab.startDaemon();
    model.start();
    return 'the daemon starts';
  },
  renewal: async ({ lab, model, choose }) => {
    model.gateway = choose(gateways);
    await lab.ip(`route replace ${leaseVia(model.gateway)}`);
    return `a lease via ${model.gateway}`;
  },
  flush: async ({ lab }) => {
    await lab.ip('route flush table all proto 173');
    return 'our routes are flushed';
  },
};

const weights: Record<string, number> = { up: 7, 'up again': 1, down: 5, loss: 2, renewal: 1, flush: 1 };
const bag = Object.keys(happenings).flatMap(name => Array<string>(weights[name] ?? 3).fill(name));

for (const seed of seeds) {
  scenario(`19. ${stepCount} steps at random, seed ${seed}`, async (lab, t) => {
    await lab.machine({ profiles: profiles.join('') });
    const model = new Model();
    const situation = { lab, model, present: new Map<number, string>(), choose: chooser(seed) };
    for (let step = 1; step <= stepCount && t.passing(); step++) {
      const story = await happenings[situation.choose(bag)]?.(situation);
      if (story !== undefined) await equalsModel(t, { lab, model, story: `${seed}/${step}: ${story}` });
    }
    if (!t.passing()) return;
    if (!model.isRunning) await lab.startDaemon();
    for (const [unit, ipparam] of situation.present) await lab.down(`ppp${unit}`, callOf(ipparam));
    await lab.ip(`route replace ${leaseVia('192.168.1.1')}`);
    await lab.restored(1000);
  });
}

async function equalsModel(
  t: Test,
  { lab, model, story }: { lab: Lab; model: Model; story: string },
): Promise<void> {
  if (!model.isRunning) return t.comment(story);
  const expected = model.expected();
  let observed: string[] = [];
  const equal = async () => {
    observed = await observe(lab, model);
    return observed.join('\n') === expected.join('\n');
  };
  await lab.until(equal, 1500).catch(() => undefined);
  t.same(observed, expected, story);
}

/** As the pppd of that link says it; every link has a pppd of its own. */
const callOf = (ipparam: string) => ({
  ipparam,
  environment: { PPPD_PID: `100${ipparam.split('-').at(-1)}` },
});

/** Choices that are the same for the same seed (mulberry32). */
function chooser(seed: number): <T>(from: readonly T[]) => T {
  let state = seed >>> 0;
  return from => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    const fraction = ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    return from[Math.floor(fraction * from.length)] as (typeof from)[number];
  };
}
