// Every event of every link is taken once and in its order, however often the daemon is killed, restarted or hung.
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { countOf, seed } from '../form.ts';
import { type Lab, linkAlone, onLink, scenario } from '../netns/lab.ts';
import type { Started } from '../netns/namespace.ts';
import { startBy, statusThat } from './daemon.ts';
import { sayFigures } from './figure.ts';
import { MoodyIp } from './moody-ip.ts';
import { type Draw, drawing } from './random.ts';
import { Service } from './service.ts';

const hooks = join(import.meta.dirname, '../../hooks');

const units = [0, 1, 2, 3, 4, 5, 6, 7];
/** ppp0 and ppp1 take the default, ppp0 before ppp1; each brings a network. */
const profiles = units
  .map(
    unit => `
      [link.ppp${unit}]
      default-route = "${unit < 2 ? 'replace' : 'none'}"
      priority = ${unit === 0 ? 10 : 0}
      server = "${unit < 2 ? '203.0.113.5' : 'none'}"
      networks = ["198.18.${unit}.0/24"]
    `,
  )
  .join('');

const events = countOf({ short: 120, whole: 480, long: 10_000 });
/** Of each link; its last event is an up. */
const ups = Math.ceil((events / units.length + 1) / 2);
const total = units.length * (2 * ups - 1);
const kills = Math.max(12, Math.ceil(total / 95));

scenario('under socket activation', (lab, t) => playThrough(lab, t, 'activated'));
scenario('without it, through the spool', (lab, t) => playThrough(lab, t, 'alone'));

async function playThrough(lab: Lab, t: Test, how: 'activated' | 'alone'): Promise<void> {
  await lab.machine({ profiles, daemon: false });
  await mkdir(join(lab.directory, 'run/spool'));
  for (const unit of units) await lab.connect(`ppp${unit}`);
  const before = await lab.table();
  const service = new Service(lab, how);
  t.teardown(() => {
    if (!t.passing()) t.comment(service.log.join('\n'));
  });
  service.start();
  const links = units.map(unit => new PppdLink(lab, `ppp${unit}`));
  const done = () => links.reduce((sum, link) => sum + link.events.length, 0);
  const ended = Promise.all(links.map(link => link.ended));

  const draw = drawing(seed);
  for (let kill = 1; kill <= kills; kill++) {
    const from = ((kill - 1) * total) / kills;
    const at = from + draw(total / kills);
    await lab.until(() => done() >= at, 120_000);
    await befall(service, kill % 12 === 6 ? 'hang' : kill % 3 === 0 ? 'SIGTERM' : 'SIGKILL', draw);
  }
  await ended;
  await service.idle();

  const hooks = links.flatMap(link => link.events);
  t.equal(hooks.length, total, 'every hook ended');
  t.same(
    hooks.filter(({ status, complaint }) => status !== 0 || complaint !== ''),
    [],
    'exits 0 and has nothing to complain of',
  );
  const slowest = Math.max(...hooks.map(({ seconds }) => seconds));
  t.ok(slowest < 3, `the slowest hook took ${slowest} s`);

  const log = service.log;
  const sums = { lost: 0, 'applied-again': 0, 'told-twice': 0 };
  for (const { name } of links) {
    const story = storyOf(name, log);
    sums.lost += countMissing(wantedStory(name), story.events);
    sums['applied-again'] += countMissing(story.events, wantedStory(name));
    sums['told-twice'] += story.repeated;
    t.same(story.events, wantedStory(name), `${name}: each event once, in order`, {
      first: firstDifference(story.events, wantedStory(name)),
    });
  }
  await lab.shows(allUp, 'the table of all links up');
  t.equal(
    await lab.run('ls', '-A', join(lab.directory, 'run/spool')),
    '.taken',
    'nothing waits in the spool',
  );

  for (const unit of units)
    await lab.fine(lab.hook('ip-down', `ppp${unit}`, { environment: { PPPD_PID: '' } }));
  t.equal(await lab.table(), before, 'byte for byte as before');
  const spooled = service.log
    .map(line => Number(/^notice: applying (\d+) event/.exec(line)?.[1] ?? 0))
    .reduce((sum, count) => sum + count);
  t.ok(spooled > 0, 'some went through the spool');
  sayFigures(t, `queue ${how}`, {
    events: total,
    kills,
    spooled,
    ...sums,
    'slowest-hook-s': slowest,
  });
}

const isRepeated = (line: string) => line.endsWith(': known already');

for (const manner of ['missing', 'hang']) {
  scenario(`told while ip cannot be asked, and killed before it can: ${manner}`, async (lab, t) => {
    await lab.machine({ daemon: false });
    const ip = await MoodyIp.in(lab);
    const daemon = new Journaled(lab, ip);
    await daemon.start();
    await lab.connect('ppp0');
    await lab.connect('ppp1');
    await ip.becomes(manner);
    await daemon.killIps();
    await statusThat(lab, ({ degraded, status }) => degraded && /\bip\b/.test(status), 1000);
    const patient = lab.say('version=1\nevent=ip-up\ninterface=ppp7\n\n');
    await isSpooled(lab, t, { event: 'ip-up', name: 'ppp0' });
    const given = await Promise.race([patient, sleep(4000, 'nothing yet')]);
    t.equal(given, '', 'who waits for longer than a hook does is let go, without an answer');
    await statusThat(lab, ({ degraded, status }) => degraded && /\bip\b/.test(status), 1000);
    await daemon.end('SIGKILL');

    await daemon.start();
    await statusThat(lab, ({ degraded, status }) => degraded && /\bip\b/.test(status), 1000);
    await isSpooled(lab, t, { event: 'ip-up', name: 'ppp1', ipparam: '' });
    t.same(await spoolOf(lab), ['ip-up ppp0', 'ip-up ppp1'], 'both are on disk');
    await daemon.end('SIGTERM');
    t.equal(await lab.ip('route show proto 173'), '', 'neither has been applied');

    await ip.becomes('well');
    await daemon.start();
    await lab.comesToPrint('route show proto 173', onlyOurs, 1000);
    // What was told and saved before ip was missed is known already when it comes again.
    const told = daemon.told(/ip-up of/).filter(line => !isRepeated(line));
    t.same(
      told.sort(),
      [
        'ip-up of ppp0: 10.99.0.2 to 10.99.0.1, profile work',
        'ip-up of ppp1: 10.99.1.2 to 10.99.1.1, left alone: no profile matches (ipparam "")',
      ],
      'each once',
    );
    t.same(await spoolOf(lab), [], 'nothing waits in the spool');

    await ip.becomes(manner);
    await daemon.killIps();
    await isSpooled(lab, t, { event: 'ip-down', name: 'ppp0' });
    await ip.becomes('well');
    await lab.comesToPrint('route show proto 173', '', 10_000);
    await lab.until(async () => (await spoolOf(lab)).length === 0);
    t.same(
      daemon.told(/ip-down of/),
      ['ip-down of ppp0: putting back what it had moved'],
      'once, though memory and the spool had it',
    );
    await daemon.end('SIGTERM');
    sayFigures(t, `queue told-without-ip ${manner}`, {
      events: 3,
      applied: daemon.told(/ip-(up|down) of/).filter(line => !isRepeated(line)).length,
    });
  });
}

scenario('told while the state cannot be written, and killed before it can', async (lab, t) => {
  await lab.machine({ daemon: false });
  const at = join(lab.directory, 'state');
  await lab.run('mount', '-t', 'tmpfs', 'tmpfs', at);
  const becomes = (how: 'ro' | 'rw') => lab.run('mount', '-o', `remount,${how}`, at);
  const daemon = new Journaled(lab);
  await daemon.start();
  await lab.connect('ppp0');
  await becomes('ro');
  await isSpooled(lab, t, { event: 'ip-up', name: 'ppp0', complaint: /^ppp-routed: error STATE / });
  // No hook is later for what waits for the disk.
  t.match((await lab.hook('ip-down', 'ppp7')).stderr, /error STATE /);
  t.same(await spoolOf(lab), ['ip-up ppp0', 'ip-down ppp7']);
  await lab.shows(linkAlone);
  t.equal(daemon.told(/ip-up of ppp0/).length, 1, 'handed on once');
  await daemon.end('SIGKILL');

  await becomes('rw');
  await daemon.start();
  await lab.comesToShow(onLink);
  t.same(await spoolOf(lab), []);
  const taken = 'ip-up of ppp0: 10.99.0.2 to 10.99.0.1, profile work';
  t.same(daemon.told(/ip-up of ppp0/), [taken, taken], 'once by each daemon');

  // The interface stays: of its down nobody but the hook knows.
  await becomes('ro');
  await isSpooled(lab, t, { event: 'ip-down', name: 'ppp0', complaint: /^ppp-routed: error STATE / });
  await lab.shows(linkAlone);
  await daemon.end('SIGKILL');
  await becomes('rw');
  await daemon.start();
  await lab.comesToShow(linkAlone);
  t.same(await spoolOf(lab), []);

  await becomes('ro');
  await isSpooled(lab, t, { event: 'ip-up', name: 'ppp0', complaint: /^ppp-routed: error STATE / });
  const told = daemon.told(/ of ppp0/).length;
  await becomes('rw');
  await lab.comesToShow(onLink, 8000);
  await lab.until(async () => (await spoolOf(lab)).length === 0);
  t.equal(daemon.told(/ of ppp0/).length, told, 'what is saved by and by is not applied again');
  await lab.fine(lab.hook('ip-down', 'ppp0'));
  await daemon.end('SIGTERM');
  sayFigures(t, 'queue told-without-disk', { events: 4, waiting: (await spoolOf(lab)).length });
});

const onlyOurs = `
  default dev ppp0 scope link
  203.0.113.5 via 192.168.1.1 dev eth0 src 192.168.1.10
`;

/** A daemon that is started again and again; what all of them have said. */
class Journaled {
  readonly #lab: Lab;
  readonly #script: string;
  readonly #log: string[] = [];
  #daemon: Started | undefined;

  /** @param ip The one that it finds, where that is not the machine's own. */
  constructor(lab: Lab, ip?: MoodyIp) {
    this.#lab = lab;
    this.#script = ip === undefined ? 'exec "$@"' : `export PATH=${ip.path}; exec "$@"`;
  }

  /** Resolves when it is ready. */
  async start(): Promise<void> {
    const before = this.told(/ready: /).length;
    this.#daemon = startBy(this.#lab, this.#script);
    createInterface({ input: this.#daemon.stdout }).on('line', line => this.#log.push(line));
    await this.#lab.until(() => this.told(/ready: /).length > before, 10_000);
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#daemon?.kill(signal);
    await this.#daemon;
  }

  async killIps(): Promise<void> {
    const children = `/proc/${this.#daemon?.pid}/task/${this.#daemon?.pid}/children`;
    await this.#lab.run('/bin/sh', '-euc', `kill -KILL $(cat ${children})`);
  }

  told(pattern: RegExp): string[] {
    return this.#log.filter(line => pattern.test(line));
  }
}

interface Telling {
  event: 'ip-up' | 'ip-down';
  name: string;
  ipparam?: string;
  complaint?: RegExp;
}

/** The hook comes back in good time, and what it told waits on disk. */
async function isSpooled(
  lab: Lab,
  t: Test,
  { event, name, ipparam, complaint = /^$/ }: Telling,
): Promise<void> {
  const { exitCode, stderr, seconds } = await lab.hook(event, name, {
    ...(ipparam === undefined ? {} : { ipparam }),
  });
  t.equal(exitCode, 0);
  t.match(stderr, complaint);
  t.ok(seconds < 3, `${event} of ${name} took ${seconds} s`);
  t.equal((await spoolOf(lab)).at(-1), `${event} ${name}`);
}

/** The events that wait, oldest first. */
async function spoolOf(lab: Lab): Promise<string[]> {
  const spool = join(lab.directory, 'run/spool');
  const names = (await readdir(spool)).filter(name => /^\d{10}$/.test(name)).sort();
  // One that has been put away since is not there any more.
  const texts = await Promise.all(names.map(name => readFile(join(spool, name), 'utf8').catch(() => '')));
  return texts
    .filter(Boolean)
    .map(text => `${/^event=(.*)$/m.exec(text)?.[1]} ${/^interface=(.*)$/m.exec(text)?.[1]}`);
}

const allUp = `
  default dev ppp0 proto 173 scope link
  ${units.map(unit => `10.99.${unit}.1 dev ppp${unit} proto kernel scope link src 10.99.${unit}.2`).join('\n')}
  192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
  ${units.map(unit => `198.18.${unit}.0/24 dev ppp${unit} proto 173 scope link`).join('\n')}
  203.0.113.5 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
`;

/** Something happens to the daemon; resolves when it has been started again, or goes on. */
async function befall(service: Service, what: 'SIGKILL' | 'SIGTERM' | 'hang', draw: Draw): Promise<void> {
  if (what === 'hang') {
    // Long enough for every link to have two hooks give up, with both connections left in the backlog.
    service.signal('STOP');
    await sleep(4500);
    if (draw(2) === 0) return service.signal('CONT');
  }
  service.signal(what === 'SIGTERM' ? 'TERM' : 'KILL');
  await service.ended();
  await sleep(draw(300));
  service.start();
  // Most of the time it lives to take some events; now and then it is killed before it is ready.
  if (draw(6) > 0) await service.ready();
}

interface HookEvent {
  name: string;
  status: number;
  seconds: number;
  complaint: string;
}

/** pppd of one link, from its first up to its last. */
class PppdLink {
  readonly name: string;
  readonly events: HookEvent[] = [];
  readonly ended: Promise<unknown>;

  constructor(lab: Lab, name: string) {
    this.name = name;
    const run = join(lab.directory, 'run');
    const pppd = lab.start([join(import.meta.dirname, 'queue-pppd.sh'), hooks, run, name, String(ups)]);
    createInterface({ input: pppd.stdout }).on('line', line => {
      const [event = '', , status, centiseconds, ...complaint] = line.split(' ');
      this.events.push({
        name: event,
        status: Number(status),
        seconds: Number(centiseconds) / 100,
        complaint: complaint.join(' '),
      });
    });
    this.ended = pppd;
  }
}

interface Story {
  events: string[];
  /** Events that the daemon was told a second time right after the first: it may have been killed in between. */
  repeated: number;
}

/** What the journal says happened to a link: `up 10.3.0.7` or `down`. */
function storyOf(name: string, log: readonly string[]): Story {
  const story: Story = { events: [], repeated: 0 };
  for (const line of log) {
    const [, event, about, text = ''] = /(ip-up|ip-down) of (\S+): (.*)/.exec(line) ?? [];
    if (about !== name) continue;
    const told = event === 'ip-down' ? 'down' : `up ${text.split(' ')[0]}`;
    if (/^known already|^nothing to do/.test(text) || told === story.events.at(-1)) story.repeated++;
    else story.events.push(told);
  }
  return story;
}

function wantedStory(name: string): string[] {
  const unit = name.replace('ppp', '');
  return Array.from({ length: ups }, (_, i) => i + 1).flatMap(n => {
    const up = `up 10.${unit}.${Math.floor(n / 250)}.${n % 250}`;
    return n < ups ? [up, 'down'] : [up];
  });
}

/** How many of the first are not among the second. */
function countMissing(events: readonly string[], among: readonly string[]): number {
  const left = [...among];
  return events.filter(event => {
    const at = left.indexOf(event);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  }).length;
}

/** Where two stories part, with a little of what is around it. */
function firstDifference(told: readonly string[], wanted: readonly string[]): string | undefined {
  const at = wanted.findIndex((event, i) => event !== told[i]);
  if (at < 0) return undefined;
  return `at ${at}: wanted ${wanted.slice(at, at + 4).join(', ')}; told ${told.slice(at, at + 8).join(', ')}`;
}
