// What the README says is tried: every command is run, or known to be run elsewhere; a command that is not known fails.
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import t, { type Test } from 'tap';
import * as v from 'valibot';
import packageJson from '../../package.json' with { type: 'json' };
import { loadConfiguration } from '../../src/configuration/configuration.ts';
import { modes } from '../../src/core/decide/modes.ts';
import { ProfileSchema } from '../../src/core/link/profile.ts';
import { findObstacle, Machine } from './machine.ts';
import { type Command, patternOf, readReadme } from './readme.ts';

const root = join(import.meta.dirname, '../..');
const text = await readFile(join(root, 'README.md'), 'utf8');
const { blocks, commands, tables } = readReadme(text);
const obstacle = findObstacle();
/** In CI everything has to run. */
const machineNeeded = { skip: process.env.CI === undefined && obstacle !== undefined ? obstacle : false };

/** The words in backquotes of a cell. */
const wordsOf = (cell = '') => [...cell.matchAll(/`([^`]+)`/g)].map(([, word]) => word ?? '');

type Trial = (t: Test, command: Command) => Promise<void>;

/** Every command that the README may name, and how it is tried. */
const trials: [pattern: RegExp, trial: Trial][] = [
  [/^npm run demo$/, runInCheckout],
  [/^npm run check$/, isScript],
  [/^npm test$/, isScript],
  [/^npm test -- --seed \d+$/, isScript],
  [/^npm test -- [a-z -]+$/, namesTiers],
  [/^TEST_SEED=\d+ npx tap \S+$/, readsSeed],
  [/^(sudo )?npm run (setup|unsetup)$/, runsInGuest],
  [/^npm run setup -- --root DIR$/, isScript], // the machine of these tests is laid out by it
  [/^(systemctl|journalctl) /, isTypedInGuest],
  [/^(sudo )?ppp-routectl [a-z]+( ADDRESS| LINK| [\d.]+)?$/, runOnMachine],
  [/^(sudo )?ppp-routectl plan (EVENT INTERFACE|ip-down ppp0)$/, runOnMachine],
  [/^ip route show default$/, runOnMachine],
  [/^sudo grep '[^']*' \/run\/ppp-routed\/state\/state\.json$/, runOnMachine],
  [/^sudo ip route add default via \S+ dev \S+ metric \d+$/, runOnMachine],
  [/^run-parts --test \/etc\/ppp\/ip-up\.d$/, runOnMachine],
];

/** Where the text speaks of a broken machine, it is broken. */
const isOfBrokenMachine = ({ command }: Command) => /^(sudo grep|sudo ip|ip) /.test(command);

let machine: Machine | undefined;
let state: 'up' | 'broken' | undefined;

t.teardown(() => machine?.close());

t.test('every command', async t => {
  t.ok(commands.length > 20, `there are ${commands.length}`);
  for (const command of commands) {
    const trial = trials.find(([pattern]) => pattern.test(command.command))?.[1];
    const name = `line ${command.line}: ${command.command}`;
    if (trial === undefined) t.fail(`${name}: no test knows this command`);
    else await t.test(name, trial === runOnMachine ? machineNeeded : {}, t => trial(t, command));
  }
});

t.test('what ppp-routectl ends with', machineNeeded, async t => {
  const machine = await machineThat('up');
  const statuses = { fine: 'status', usage: 'no-such-command', trouble: 'explain 240.0.0.1' };
  const said = Object.fromEntries(
    [...(/Exit status: (.*)\./.exec(text)?.[1] ?? '').matchAll(/`(\d)` (\w+)/g)].map(([, n, word]) => [
      word,
      n,
    ]),
  );
  await machine.run('ip route add unreachable 240.0.0.1');
  for (const [word, words] of Object.entries(statuses)) {
    const { exitCode, output } = await machine.type(`ppp-routectl ${words}`);
    t.equal(String(exitCode), said[word], `${word}: ${output}`);
  }
  await machineThat('broken');
  t.equal(String((await machine.type('ppp-routectl status')).exitCode), said.no, 'no daemon');
});

t.test('ppp-routectl has the commands of the table, and no other', async t => {
  const { stdout } = await execa(process.execPath, [join(root, 'dist/ppp-routectl.js'), '--help']);
  const has = [...stdout.matchAll(/^ {2}([a-z]+)\b/gm)]
    .map(([, name]) => name)
    .filter(name => name !== 'help');
  const rows = tables.get('command') ?? [];
  const said = rows.map(([cell]) => wordsOf(cell)[0]?.split(' ')[1] ?? '');
  t.same(said.toSorted(), has.sort());
  for (const [i, name] of said.entries()) {
    const help = await execa(process.execPath, [join(root, 'dist/ppp-routectl.js'), name, '--help']);
    const options = wordsOf(rows[i]?.[1]).filter(word => word.startsWith('-'));
    for (const option of options) t.ok(help.stdout.includes(option), `${name} has ${option}`);
  }
});

t.test('the examples of the configuration are loaded as they stand', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'readme-toml-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  await mkdir(join(directory, 'links.d'));
  const examples = blocks.filter(({ language }) => language === 'toml');
  t.ok(examples.length > 1, `there are ${examples.length}`);
  for (const { line, text } of examples) await writeFile(join(directory, `links.d/${line}.toml`), text);
  const profiles = await loadConfiguration(directory);
  t.equal(profiles.length, examples.length);
});

t.test('the table of keys is the schema', async t => {
  const rows = new Map(tables.get('key')?.map(([key, ...cells]) => [wordsOf(key)[0], cells]));
  t.same([...rows.keys()].sort(), Object.keys(ProfileSchema.entries).sort(), 'every key, and no other');
  const defaults: Record<string, unknown> = v.getDefaults(ProfileSchema) ?? {};
  const sources = await sourcesThatAct();
  for (const [key = '', [standard, meaning = '']] of rows) {
    if (key !== 'match')
      t.equal(wordsOf(standard)[0], JSON.stringify(defaults[key]), `the default of ${key}`);
    const words = wordsOf(meaning);
    for (const choice of choicesOf(key)) t.ok(words.includes(choice), `${key} tells of ${choice}`);
    const isUsed = key === 'match' || new RegExp(`\\.${key}\\b|\\['${key}'\\]|\\{ ${key} \\}`).test(sources);
    t.equal(/not acted on yet/.test(meaning), !isUsed, `${key}: whether it is acted on`);
  }
});

t.test('the table of modes is that of the program', async t => {
  const said = tables.get('mode')?.map(([cell]) => wordsOf(cell)[0]);
  t.same(said?.sort(), Object.keys(modes).sort());
});

t.test('the table of tiers is that of npm test', async t => {
  const said = tables.get('tier')?.map(([cell]) => wordsOf(cell)[0]);
  const known = await knownTiers();
  t.same(said?.sort(), known.sort());
});

t.test('the versions of Node.js are those of package.json', async t => {
  const { engines, devEngines } = packageJson;
  for (const version of [engines.node, devEngines.runtime.version])
    t.match(text, `Node.js ${version.replace('>=', '')} or later`);
});

t.test('files that it links to are there', async t => {
  for (const [, path = ''] of text.matchAll(/\]\(([^):]+)\)/g))
    await t.resolves(readFile(join(root, path)), path);
});

async function runInCheckout(t: Test, command: Command): Promise<void> {
  const { all, stdout, exitCode } = await execa('/bin/sh', ['-c', command.command], {
    cwd: root,
    all: true,
    reject: false,
    env: { NO_COLOR: '1' },
  });
  // udev opens it to everyone; in a container it may be root's.
  const tun = await access('/dev/net/tun', constants.W_OK).catch((error: Error) => error);
  if (exitCode !== 0 && tun instanceof Error && process.getuid?.() !== 0) return t.plan(0, tun.message);
  t.equal(exitCode, 0, all);
  prints(t, command, stdout);
}

async function runOnMachine(t: Test, command: Command): Promise<void> {
  if (obstacle !== undefined) throw new Error(obstacle);
  const machine = await machineThat(isOfBrokenMachine(command) ? 'broken' : 'up');
  const { output, exitCode } = await machine.type(
    command.command
      .replace('ADDRESS', '69.90.184.209')
      .replace('EVENT INTERFACE', 'ip-down ppp0')
      .replace('LINK', 'ppp0'),
  );
  t.equal(exitCode, 0, output);
  prints(t, command, output);
  // It has let the link go; the next command finds it up again.
  if (command.command.includes('restore')) state = undefined;
}

function prints(t: Test, { output }: Command, printed: string): void {
  if (output === undefined) return;
  const pattern = patternOf(output);
  t.ok(pattern.test(`${printed.trimEnd()}\n`), 'prints what the README says', { printed, said: output });
}

/** The one machine, in the state that is asked for. */
async function machineThat(wanted: 'up' | 'broken'): Promise<Machine> {
  const [example] = blocks.filter(({ language }) => language === 'toml');
  // A link that no pptp process carries: its server has to be named, as the README says.
  machine ??= await Machine.make(`${example?.text}server = "69.90.184.209"\n`);
  if (state !== wanted) {
    if (wanted === 'up' || state === undefined) await machine.up();
    if (wanted === 'broken') await machine.breakDown();
    state = wanted;
  }
  return machine;
}

async function isScript(t: Test, { command }: Command): Promise<void> {
  const [, name = ''] = /^(?:sudo )?npm (?:run )?(\S+)/.exec(command) ?? [];
  const scripts: Record<string, string> = packageJson.scripts;
  const [, path = ''] = /^node (scripts\/\S+\.mjs)$/.exec(scripts[name] ?? '') ?? [];
  await t.resolves(readFile(join(root, path)), `${name} is a script: ${scripts[name]}`);
}

async function namesTiers(t: Test, { command }: Command): Promise<void> {
  const known = await knownTiers();
  for (const name of command.split(' ').slice(3))
    t.ok(name === 'all' || known.includes(name), `${name} is a tier`);
}

/** What `npm test` says when it is asked for a tier that is not there; it does nothing else then. */
async function knownTiers(): Promise<string[]> {
  const { stderr } = await execa(process.execPath, [join(root, 'scripts/test.mjs'), '?'], { reject: false });
  return /there are (.*)$/m.exec(stderr)?.[1]?.split(', ') ?? [];
}

async function readsSeed(t: Test, { command }: Command): Promise<void> {
  const source = await readFile(join(root, command.split(' ').at(-1) ?? ''), 'utf8');
  t.match(source, /import \{ [^}]*\bseed\b[^}]* \} from '\.\.\/form\.ts'/);
}

/** Only root on a real machine can run it; the systemd tier does. */
async function runsInGuest(t: Test, command: Command): Promise<void> {
  await isScript(t, command);
  const [name = ''] = command.command.split(' ').slice(-1);
  const scripts: Record<string, string> = packageJson.scripts;
  const guest = await guestScript();
  t.ok(guest.includes(`${name}=/share/project/${scripts[name]?.replace('node ', '')}`), 'the very script');
  t.match(guest, new RegExp(`^record '${name}' node \\$${name}\\b`, 'm'), 'is run in test/vm');
}

async function isTypedInGuest(t: Test, { command }: Command): Promise<void> {
  const words = command.split(' ').filter(word => word !== '-u');
  t.match(await guestScript(), new RegExp(`\\b${words.join('\\b.*\\b')}\\b`), 'is run in test/vm');
}

async function guestScript(): Promise<string> {
  return readFile(join(root, 'test/vm/guest/systemd.sh'), 'utf8');
}

/** What may be given for a key, where that is one of a few words. */
function choicesOf(key: string): string[] {
  if (key === 'match') return ['interface', 'ipparam', 'linkname', 'peername', 'call'];
  if (key === 'server') return ['auto', 'none'];
  if (key === 'proxy-arp') return ['off', 'auto'];
  const entry: { wrapped?: unknown } | undefined = Object.entries(ProfileSchema.entries).find(
    ([name]) => name === key,
  )?.[1];
  const { wrapped } = entry ?? {};
  const options: unknown =
    typeof wrapped === 'object' && wrapped !== null && 'options' in wrapped ? wrapped.options : [];
  return Array.isArray(options) ? options.filter(option => typeof option === 'string') : [];
}

/** The program's text: a key that nothing reads is accepted and not acted on. */
async function sourcesThatAct(): Promise<string> {
  const names = (await readdir(join(root, 'src/core'), { recursive: true })).filter(name =>
    name.endsWith('.ts'),
  );
  return (await Promise.all(names.map(name => readFile(join(root, 'src/core', name), 'utf8')))).join('\n');
}
