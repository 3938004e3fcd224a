// The state directory is damaged, full, or cannot be written. TEST_COUNT: how many starts from damaged files, at even
// distances; test/state/state-directory.test.ts reads every file so, without a daemon around it.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import t, { type Test } from 'tap';
import { countOf } from '../form.ts';
import { base, type Lab, linkAlone, onLink, replaceProfile, scenario } from '../netns/lab.ts';
import { choose } from './choice.ts';
import { statusThat } from './daemon.ts';
import { sayFigures } from './figure.ts';
import { type Fault, Victim } from './victim.ts';

const most = countOf({ short: 20, whole: 60, long: 100_000 });
const jobs = 2;
const figures = { starts: 0, wrong: 0, unknown: 0, faults: 0, lost: 0 };
let slowest = 0;
t.teardown(() =>
  sayFigures(t, 'state', {
    'starts-from-damaged-files': figures.starts,
    'wrong-routes': figures.wrong,
    'of-these-without-the-saved-default': figures.unknown,
    faults: figures.faults,
    'lost-defaults-by-faults': figures.lost,
    'slowest-recovery-ms': Math.round(slowest),
  }),
);

const lease = (gateway: string) => `default via ${gateway} dev eth0 proto dhcp src 192.168.1.10 metric 100`;

/** What the links are while the files are damaged. */
const lanes: Record<string, { loss: 'restore' | 'block'; prepare(lab: Lab): Promise<unknown> }> = {
  'a link is up': { loss: 'restore', prepare: async () => undefined },
  'a link is lost and must stay dark': {
    loss: 'block',
    prepare: async lab => {
      await lab.ip('link del ppp0');
      // The file of the link that was up goes last.
      await lab.until(async () => [...(await filesOf(lab)).keys()].every(name => !/\/\d+\.json$/.test(name)));
    },
  },
};

for (const [what, { loss, prepare }] of Object.entries(lanes)) {
  scenario(
    `files of the state cut at every byte, with every byte flipped, empty, gone, of another schema: ${what}`,
    async (lab, t) => {
      await lab.machine({ profiles: `${replaceProfile}on-loss = "${loss}"\n` });
      await lab.up('ppp0');
      await prepare(lab);
      await lab.stopDaemon('SIGKILL');
      const good = await filesOf(lab);
      t.match([...good.keys()].sort(), [/^links\/\d+(\.lost\.\d+)?\.json$/, 'state.json']);
      const table = await lab.table();
      const whole = await startWith(lab, good);
      t.match(whole, /saved: default via 192\.168\.1\.1 /);
      t.ok(whole.endsWith(table), 'no route moves');
      /** What a start comes to where a file is damaged, and where it is gone. */
      const expected = { whole, damaged: new Map<string, string>(), gone: new Map<string, string>() };
      for (const name of good.keys()) {
        const found = await startWith(lab, new Map([...good, [name, Buffer.from('{')]]));
        t.ok(
          found.startsWith(`degraded: ${lab.directory}/state/${name} …: no route of ours is removed`),
          found,
        );
        t.ok(found.endsWith(table), `${name} is damaged: no route moves`);
        t.equal(
          /saved: default/.test(found),
          name !== 'state.json',
          `${name}: what another file holds is known`,
        );
        expected.damaged.set(name, found);
      }
      for (const name of good.keys()) {
        expected.gone.set(name, await startWith(lab, new Map([...good, [name, undefined]])));
        t.equal(await startWith(lab, good), whole);
      }

      let isDisturbed = false;
      for (const { name, says, bytes } of choose(damages(good), most / 2)) {
        if (isDisturbed) await startWith(lab, good);
        const found = await startWith(lab, new Map([...good, [name, bytes]])).catch(String);
        const kind = kindOf(good.get(name), bytes);
        const wanted = kind === 'whole' ? whole : expected[kind].get(name);
        isDisturbed = kind === 'gone';
        figures.starts++;
        if (name === 'state.json' && kind !== 'whole') figures.unknown++;
        if (found === wanted) continue;
        figures.wrong++;
        t.equal(found, wanted, `${name} ${says}`, { journal: lab.log().slice(-8) });
        isDisturbed = true;
        if (figures.wrong > 5) return;
      }
      await startWith(lab, good);
      await lab.startDaemon();
      if (loss === 'restore') await lab.down('ppp0');
      else await lab.ask('restore');
      await lab.restored();
    },
    { jobs },
  );
}

scenario(
  'everything in the state directory is gone, in every mode',
  async (lab, t) => {
    await lab.machine({ daemon: false });
    for (const mode of ['replace', 'metric', 'half', 'table']) {
      await lab.write('etc/ppp-routed.toml', replaceProfile.replace('"replace"', `"${mode}"`));
      await lab.startDaemon();
      await lab.up('ppp0');
      await lab.stopDaemon('SIGKILL');
      await startWith(lab, new Map());
      figures.starts++;
      const way = await lab.lines('route show default');
      if (way.length === 0) figures.wrong++;
      t.ok(way.length > 0, `${mode}: there is a way out`);
      await lab.ip('link del ppp0');
      if (mode === 'replace') await lab.ip(`route add ${lease('192.168.1.1')}`);
      await lab.startDaemon();
      await lab.restored();
      await lab.stopDaemon();
    }
  },
  { jobs },
);

/** Which files are gone while links are up, and the way out then. What is left may know of some links, and of no saved default. */
const losses: Record<string, { lost: RegExp; way: 'ppp0' | 'eth0' }> = {
  'state.json': { lost: /^state\.json$/, way: 'ppp0' },
  all: { lost: /^/, way: 'ppp0' },
  'those of the links': { lost: /^links/, way: 'eth0' },
};
for (const [says, { lost, way }] of Object.entries(losses)) {
  scenario(
    `files of the state lost while links are up: ${says}`,
    async (lab, t) => {
      await lab.machine({ profiles: `${replaceProfile}${siteProfile}` });
      const names = ['ppp2', 'ppp1', 'ppp0'];
      const callOf = (name: string) => ({ ipparam: { ppp0: 'work', ppp1: 'site' }[name] ?? '' });
      for (const name of names) await lab.up(name, callOf(name));
      const tableBefore = [...(await lab.table()).split('\n'), ...lab.before.split('\n')];
      await lab.stopDaemon('SIGKILL');
      await startWith(lab, new Map([...(await filesOf(lab))].filter(([name]) => !lost.test(name))));
      figures.starts++;
      await isSafe('after the start');

      await lab.startDaemon();
      await lab.connect('ppp90');
      tableBefore.push(...(await lab.table()).split('\n').filter(line => line.includes('ppp90')));
      await lab.fine(lab.hook('ip-up', 'ppp90', { ipparam: '' }));
      await isSafe('after another link came up');
      await lab.down('ppp90', { ipparam: '' });

      if (way === 'ppp0') await lab.ip(`route append ${lease('192.168.1.1')}`);
      for (const name of ['ppp1', 'ppp0']) await lab.fine(lab.hook('ip-up', name, callOf(name)));
      for (const name of names.reverse()) await lab.down(name, callOf(name));
      if ((await lab.table()) !== lab.before) figures.wrong++;
      await lab.restored();

      /** There is a way out, not through itself, and no route that was not there before or is saved. */
      async function isSafe(when: string): Promise<void> {
        const strange = (await lab.table()).split('\n').filter(line => !tableBefore.includes(line));
        const ways = [await lab.deviceTo('198.51.100.7'), await lab.deviceTo('203.0.113.5')];
        if (strange.length > 0 || ways.join() !== `${way},eth0`) figures.wrong++;
        t.same(strange, [], `${when}: no route that was not there`);
        t.same(ways, [way, 'eth0'], `${when}: the way out, and to the server`);
      }
    },
    { jobs },
  );
}

const siteProfile = `
[link.site]
networks = ["198.18.0.0/24"]
server = "none"
`;

/** One thing that has become of one file. */
interface Damage {
  name: string;
  says: string;
  /** undefined: the file is gone. */
  bytes: Buffer | undefined;
}

/** Every file cut at every byte, and with a bit of every byte flipped. */
function damages(good: Map<string, Buffer>): Damage[] {
  return [...good].flatMap(([name, whole]) =>
    [...mannersOf(whole), ...cutsOf(whole), ...flipsOf(whole)].map(manner => ({ name, ...manner })),
  );
}

/** Where only the checksum has lost its name, all is there, as in a file that a person wrote. */
function kindOf(whole: Buffer | undefined, bytes: Buffer | undefined): 'whole' | 'damaged' | 'gone' {
  if (bytes === undefined) return 'gone';
  try {
    const { checksum, ...state } = JSON.parse(`${whole}`);
    const entries = Object.entries(JSON.parse(`${bytes}`)).filter(([, value]) => value !== checksum);
    return isDeepStrictEqual(Object.fromEntries(entries), state) ? 'whole' : 'damaged';
  } catch {
    return 'damaged';
  }
}

type Manner = Omit<Damage, 'name'>;

function mannersOf(whole: Buffer): Manner[] {
  const text = whole.toString();
  return [
    { says: 'is gone', bytes: undefined },
    { says: 'is of an older schema', bytes: Buffer.from(text.replace('"schema": 2', '"schema": 1')) },
    { says: 'is of a newer schema', bytes: Buffer.from(text.replace('"schema": 2', '"schema": 3')) },
    { says: 'is all zeros', bytes: Buffer.alloc(whole.length) },
    { says: 'is twice as long', bytes: Buffer.concat([whole, whole]) },
  ];
}

/** Without the newline at its end it is as good as with it. */
function cutsOf(whole: Buffer): Manner[] {
  return Array.from({ length: whole.length - 1 }, (_, at) => ({
    says: `is cut to ${at} bytes`,
    bytes: whole.subarray(0, at),
  }));
}

function flipsOf(whole: Buffer): Manner[] {
  return Array.from(whole, (byte, at) => ({
    says: `has bit ${at % 8} of byte ${at} flipped`,
    bytes: Buffer.from([...whole.subarray(0, at), byte ^ (1 << (at % 8)), ...whole.subarray(at + 1)]),
  }));
}

async function filesOf(lab: Lab): Promise<Map<string, Buffer>> {
  const directory = join(lab.directory, 'state');
  const names = (await readdir(directory, { recursive: true })).filter(name => name.endsWith('.json'));
  const files = await Promise.all(
    names.map(async name => {
      // A link that is lost meanwhile gets another file.
      const bytes = await readFile(join(directory, name)).catch(() => undefined);
      return bytes === undefined ? [] : [[name, bytes] as const];
    }),
  );
  return new Map(files.flat());
}

/** What a start from these files comes to: the daemon’s word, without why a file cannot be read, and the tables. */
async function startWith(lab: Lab, files: Map<string, Buffer | undefined>): Promise<string> {
  const directory = join(lab.directory, 'state');
  for (const name of await readdir(directory)) await rm(join(directory, name), { recursive: true });
  for (const [name, bytes] of files) {
    if (bytes === undefined) continue;
    await mkdir(join(directory, dirname(name)), { recursive: true });
    await writeFile(join(directory, name), bytes);
  }
  await lab.startDaemon();
  const { status } = await lab.status();
  const found = `${status.replace(/\.json (is|cannot) .*?: no route/, '.json …: no route')}\n${await lab.table()}`;
  await lab.stopDaemon('SIGKILL');
  return found;
}

/** A state directory that takes no more, and how it comes to take more again. */
const places: Record<
  string,
  { mount: string; takesAnUp?: true; fill: (at: string) => string; clear: (at: string) => string }
> = {
  'no block is free': {
    mount: 'size=64k',
    fill: at => `dd if=/dev/zero of=${at}/filler bs=4k 2>/dev/null || true`,
    clear: at => `rm ${at}/filler`,
  },
  'one block is free': {
    mount: 'size=64k',
    fill: at => `dd if=/dev/zero of=${at}/filler bs=4k 2>/dev/null || true; truncate -s -4096 ${at}/filler`,
    clear: at => `rm ${at}/filler`,
  },
  'two blocks are free': {
    mount: 'size=64k',
    takesAnUp: true,
    fill: at => `dd if=/dev/zero of=${at}/filler bs=4k 2>/dev/null || true; truncate -s -8192 ${at}/filler`,
    clear: at => `rm ${at}/filler`,
  },
  'no inode is free': {
    mount: 'size=64k,nr_inodes=8',
    fill: at => `touch ${at}/1 ${at}/2 ${at}/3 ${at}/4 ${at}/5 ${at}/6 ${at}/7 2>/dev/null || true`,
    clear: at => `rm ${at}/[1-7]`,
  },
  'one inode is free': {
    mount: 'size=64k,nr_inodes=8',
    fill: at =>
      `touch ${at}/1 ${at}/2 ${at}/3 ${at}/4 ${at}/5 ${at}/6 ${at}/7 2>/dev/null || true; rm ${at}/1`,
    clear: at => `rm ${at}/[2-7]`,
  },
  'three inodes are free': {
    mount: 'size=64k,nr_inodes=8',
    takesAnUp: true,
    fill: at =>
      `touch ${at}/1 ${at}/2 ${at}/3 ${at}/4 ${at}/5 ${at}/6 ${at}/7 2>/dev/null || true; rm ${at}/[1-3]`,
    clear: at => `rm ${at}/[4-7]`,
  },
  'it is read-only': {
    mount: 'size=64k',
    fill: at => `mount -o remount,ro ${at}`,
    clear: at => `mount -o remount,rw ${at}`,
  },
};

for (const [says, place] of Object.entries(places)) {
  scenario(
    `the state directory: ${says}`,
    async (lab, t) => {
      const at = join(lab.directory, 'state');
      await lab.machine({ daemon: false });
      await lab.run('mount', '-t', 'tmpfs', '-o', place.mount, 'tmpfs', at);
      await lab.startDaemon();
      await lab.run('/bin/sh', '-euc', place.fill(at));
      await lab.connect('ppp0');
      const { exitCode, stderr } = await lab.hook('ip-up', 'ppp0');
      figures.faults++;
      const isSaved = stderr === '';
      t.equal(exitCode, 0, 'the hook does not stand in the way of pppd');
      t.equal(isSaved, place.takesAnUp === true, 'room for the directory of the links, and a file each');
      if (!isSaved) {
        t.match(stderr, /^ppp-routed: error STATE the state cannot be written to .*(ENOSPC|EROFS)/);
        await lab.shows(linkAlone, 'what cannot be saved is not displaced');
        await saysSo(lab);
      } else await lab.shows(onLink);
      await lab.run('/bin/sh', '-euc', place.clear(at));
      await recovers(lab, onLink);

      await lab.run('/bin/sh', '-euc', place.fill(at));
      await lab.ip('link set ppp0 down');
      await lab.ip('address del 10.99.0.2 peer 10.99.0.1/32 dev ppp0');
      await lab.hook('ip-down', 'ppp0');
      await lab.ip('link del ppp0');
      figures.faults++;
      await isBack(lab, t);
      await lab.stopDaemon('SIGKILL');
      await lab.startDaemon();
      await isBack(lab, t);
      await lab.run('/bin/sh', '-euc', place.clear(at));
      await recovers(lab, base);
      t.notOk((await lab.run('ls', '-A', at)).includes('.state.json'), 'no half-written file is left');
    },
    { jobs },
  );
}

scenario(
  'every call of a save fails, one after the other',
  async (lab, t) => {
    await lab.machine({ daemon: false });
    const victim = new Victim(lab, 'rest');
    await statusThat(lab, () => true, 10_000);
    // The very first save makes the directory of the links.
    await lab.up('ppp0');
    await lab.down('ppp0');
    await victim.tell('trace');
    await lab.up('ppp0');
    const upCalls = callsIn(victim.points);
    await victim.tell('trace');
    await lab.down('ppp0');
    const downCalls = callsIn(victim.points);
    t.ok(upCalls.length > 5 && downCalls.length > 5, 'there are calls to fail');
    for (const code of ['ENOSPC', 'EROFS', 'EIO'] as const) {
      for (const name of upCalls) await failsAtUp(lab, t, { victim, fault: { code, name } });
      for (const name of downCalls) await failsAtDown(lab, t, { victim, fault: { code, name } });
    }
    await victim.stop();
  },
  { jobs },
);

/** The calls that change something in the state. */
function callsIn(points: readonly string[]): string[] {
  return [...new Set(points.filter(name => /^(before|within) /.test(name)))];
}

interface Failing {
  victim: Victim;
  fault: Fault;
}

async function failsAtUp(lab: Lab, t: Test, { victim, fault }: Failing): Promise<void> {
  const story = `up: ${fault.code} ${fault.name}`;
  const said = victim.log.length;
  await victim.tell(fault);
  await lab.connect('ppp0');
  const { exitCode, stderr } = await lab.hook('ip-up', 'ppp0');
  figures.faults++;
  const table = (await lab.lines()).join('\n');
  const wanted = (stderr === '' ? onLink : linkAlone).trim().split(/\n\s*/).join('\n');
  t.match(victim.log.slice(said), `killer: failed ${fault.name}\n`, `${story}: it did fail`);
  t.not(stderr, '', `${story}: what is not in the state is not called saved`);
  if (exitCode !== 0 || table !== wanted) {
    figures.wrong++;
    t.equal(table, wanted, `${story}: ${stderr}`, { journal: victim.log });
  }
  await victim.tell('rest');
  await lab.fine(lab.hook('ip-up', 'ppp0'));
  await lab.shows(onLink, `${story}, and then it is taken up`);
  await lab.down('ppp0');
  if ((await lab.table()) !== lab.before) figures.lost++;
  await lab.restored();
}

async function failsAtDown(lab: Lab, t: Test, { victim, fault }: Failing): Promise<void> {
  const story = `down: ${fault.code} ${fault.name}`;
  await lab.up('ppp0');
  const said = victim.log.length;
  await victim.tell(fault);
  await lab.ip('link set ppp0 down');
  await lab.ip('address del 10.99.0.2 peer 10.99.0.1/32 dev ppp0');
  const { exitCode } = await lab.hook('ip-down', 'ppp0');
  await lab.ip('link del ppp0');
  figures.faults++;
  t.match(victim.log.slice(said), `killer: failed ${fault.name}\n`, `${story}: it did fail`);
  t.equal(exitCode, 0, story);
  await isBack(lab, t, victim);
  await victim.tell('rest');
}

/** The uplink has its default again, byte for byte. */
async function isBack(lab: Lab, t: Test, victim?: Victim): Promise<void> {
  await lab.until(async () => (await lab.table()) === lab.before, 1500).catch(() => undefined);
  const table = await lab.table();
  if (table !== lab.before) figures.lost++;
  t.equal(table, lab.before, 'the saved default is back', { journal: victim?.log ?? lab.log().slice(-8) });
}

async function saysSo(lab: Lab): Promise<void> {
  await statusThat(lab, ({ degraded, status }) => degraded && status.includes('cannot be written'), 5000);
}

/** By itself, within the time after which the daemon looks again. */
async function recovers(lab: Lab, routes: string): Promise<void> {
  const { after } = await statusThat(lab, ({ degraded }) => !degraded, 8000);
  slowest = Math.max(slowest, after);
  await lab.comesToShow(routes);
}
