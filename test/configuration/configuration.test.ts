import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import {
  Configuration,
  ConfigurationError,
  loadConfiguration,
} from '../../src/configuration/configuration.ts';

async function faultsOf(directory: string): Promise<readonly string[]> {
  try {
    await loadConfiguration(directory);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.faults.map(fault => fault.replace(`${directory}/`, ''));
  }
}

t.test('profiles come in the order of the files, with what they leave out', async t => {
  const directory = t.testdir({
    'ppp-routed.toml': '[link.work]\ndefault-route = "replace"\nserver = ["192.0.2.1", "vpn.example.org"]\n',
    'links.d': {
      '20-b.toml': '[link.b]\n',
      '10-a.toml': '[link.a]\nmatch = { interface = "ppp*" }\n',
      'note.txt': 'no TOML',
    },
  });
  const profiles = await loadConfiguration(directory);
  t.same(
    profiles.map(({ name }) => name),
    ['work', 'a', 'b'],
  );
  t.match(profiles[2], {
    'default-route': 'none',
    server: 'auto',
    networks: [],
    exclude: [],
    'proxy-arp': 'off',
    ipv6: 'leave',
    'on-loss': 'restore',
    priority: 0,
  });
  t.same(await loadConfiguration(join(directory, 'nowhere')), [], 'no file is no profile');
});

t.test('a fault has its file, line, key and what was expected', async t => {
  const rows: [string, RegExp][] = [
    ['[link.work]\ndefault-route = "replace\n', /^ppp-routed\.toml:2: not TOML/],
    [
      '[link.work]\n\ncolour = "red"\n',
      /^ppp-routed\.toml:3: link\.work\.colour: unknown key; expected one of match, default-route/,
    ],
    [
      '[link.work]\ndefault-route = "take"\n',
      /^ppp-routed\.toml:2: link\.work\.default-route: expected "replace".*found "take"/,
    ],
    [
      '[link.work]\nnetworks = [\n  "10.0.0.0/8",\n  "193.6.37.0/33",\n]\n',
      /^ppp-routed\.toml:2: link\.work\.networks\[1\]: expected a prefix.*193\.6\.37\.0\/33/,
    ],
    [
      '[link.work]\nmatch = { ipparm = "x" }\n',
      /^ppp-routed\.toml:2: link\.work\.match\.ipparm: unknown key; expected one of interface, ipparam/,
    ],
    ['[link.work]\nmatch = {}\n', /^ppp-routed\.toml:2: link\.work\.match: expected at least one/],
    ['[link.work]\nserver = "-x"\n', /^ppp-routed\.toml:2: link\.work\.server: expected/],
    ['[link.work]\nproxy-arp = "eth0; reboot"\n', /^ppp-routed\.toml:2: link\.work\.proxy-arp: expected/],
    [
      '[link.work]\ndefault-route = "metric"\nmetric = 0\n',
      /^ppp-routed\.toml:3: link\.work\.metric: expected a number from 1/,
    ],
    [
      '[link.work]\ndefault-route = "half"\nmetric = 9\n',
      /^ppp-routed\.toml:3: link\.work\.metric: expected default-route = "metric"/,
    ],
    ['[link.work]\npriority = 1.5\n', /^ppp-routed\.toml:2: link\.work\.priority: expected a whole number/],
    ['[link.work]\nproxy-arp = "eth0#"\n', /^ppp-routed\.toml:2: link\.work\.proxy-arp: expected/],
    ['[link.work]\ndefault-route = "a\\nb"\n', /^ppp-routed\.toml:2: .*found "a\\nb"$/],
    ['\n[link."\\u005f_proto__"]\npriority = 3\n', /^ppp-routed\.toml:2: not TOML: __proto__ is no name/],
    [`x = ${'['.repeat(20_000)}${']'.repeat(20_000)}\n`, /^ppp-routed\.toml:1: not TOML: .*stack/],
    ['[links.work]\n', /^ppp-routed\.toml:1: links: unknown key; expected tables \[link\.NAME\]/],
    ['[link]\nwork = 3\n', /^ppp-routed\.toml:2: link\.work: expected a table/],
  ];
  for (const [text, words] of rows) {
    const faults = await faultsOf(t.testdir({ 'ppp-routed.toml': text }));
    t.equal(faults.length, 1, faults.join('; '));
    t.match(faults[0], words);
  }
  const twice = t.testdir({ 'ppp-routed.toml': '[link.work]\n', 'links.d': { 'a.toml': '\n[link.work]\n' } });
  t.match(await faultsOf(twice), [
    /^links\.d\/a\.toml:2: link\.work is defined already in .*ppp-routed\.toml:1/,
  ]);
});

t.test('a directory that was there once and is not there now is a fault, not a configuration', async t => {
  const directory = join(t.testdir(), 'etc');
  const configuration = new Configuration(directory);
  t.same(await configuration.load({ isExpected: false }), [], 'nothing came from it: no profiles');
  t.same(await configuration.load(), [], 'nor did it since');
  await mkdir(directory);
  t.same(await configuration.load(), [], 'there, and empty: no profiles');
  await writeFile(join(directory, 'ppp-routed.toml'), '[link.work]\n');
  t.match(await configuration.load(), [{ name: 'work' }]);
  await rename(directory, `${directory}.away`);
  await t.rejects(configuration.load(), { message: `${directory}: there is no such directory` });
  await rename(`${directory}.away`, directory);
  t.match(await configuration.load(), [{ name: 'work' }]);
  await rm(join(directory, 'ppp-routed.toml'));
  t.same(await configuration.load(), [], 'a file is not there: no profiles');
});

t.test(
  'a directory that was never there is a fault where it is not known that nothing came from it',
  async t => {
    const directory = join(t.testdir(), 'etc');
    const configuration = new Configuration(directory);
    const fault = { message: `${directory}: there is no such directory` };
    await t.rejects(configuration.load(), fault, 'nothing is known yet');
    await t.rejects(configuration.load({ isExpected: true }), fault, 'links have profiles of it');
    await t.rejects(configuration.load(), fault, 'and had them');
    await mkdir(directory);
    t.same(await configuration.load(), [], 'it is there, and empty');
  },
);

t.test('a file in the place of a directory is a fault, not a configuration', async t => {
  const directory = t.testdir({ 'ppp-routed.toml': '[link.work]\n', 'links.d': '', file: '' });
  t.match(await faultsOf(directory), [/^links\.d: ENOTDIR: not a directory/]);
  t.match(await faultsOf(join(directory, 'file')), [
    /^links\.d: ENOTDIR: not a directory/,
    /^ppp-routed\.toml: cannot be read: ENOTDIR: not a directory/,
  ]);
  t.not((await faultsOf(join(directory, 'file/etc'))).length, 0);
});

t.test('a directory that is moved away and back all the time is never read as empty', async t => {
  const directory = t.testdir({ etc: { 'ppp-routed.toml': '[link.work]\n' } });
  const configuration = new Configuration(join(directory, 'etc'));
  await configuration.load();
  const mover = spawn('sh', ['-c', 'while mv etc away && mv away etc; do :; done'], { cwd: directory });
  for (let reading = 0; reading < 500; reading++) {
    const profiles = await configuration.load().catch((error: unknown) => error);
    if (!(profiles instanceof ConfigurationError)) t.match(profiles, [{ name: 'work' }]);
  }
  mover.kill();
  await once(mover, 'close');
});

t.test('what is no plain file is said, and waited for by nobody', { timeout: 10_000 }, async t => {
  const directory = t.testdir({
    'links.d': { 'b.toml': {}, 'c.toml': t.fixture('symlink', '../elsewhere') },
    elsewhere: '[link.work]\n',
  });
  // More than node has threads for.
  for (const name of [
    'ppp-routed.toml',
    'links.d/a.toml',
    'links.d/d.toml',
    'links.d/e.toml',
    'links.d/f.toml',
  ])
    execFileSync('mkfifo', [join(directory, name)]);
  for (let again = 0; again < 2; again++) {
    t.same(
      await faultsOf(directory),
      ['ppp-routed', 'links.d/a', 'links.d/b', 'links.d/d', 'links.d/e', 'links.d/f'].map(
        name => `${name}.toml: cannot be read: not a plain file`,
      ),
      'and a link to a plain file is as good as one',
    );
  }
});
