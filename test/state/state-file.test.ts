import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { emptyState, type State } from '../../src/core/link/state.ts';
import { StateFile } from '../../src/state/state-file.ts';
import { descriptors } from '../intake/descriptors.ts';

const boot = '11111111-2222-3333-4444-555555555555';
const first: State = {
  ...emptyState(boot),
  savedDefaults: [{ family: 'inet', route: 'default via 192.168.1.1 dev wlp2s0 metric 302' }],
};
const second: State = {
  ...emptyState(boot),
  savedDefaults: [{ family: 'inet', route: 'default via 10.0.0.1 dev eth0' }],
};

/** A directory with two generations. */
async function written(t: Test): Promise<{ directory: string; file: StateFile; path: string }> {
  const directory = t.testdir();
  const file = new StateFile(directory);
  await file.save(first);
  await file.save(second);
  return { directory, file, path: join(directory, 'state.json') };
}

t.test('what was saved is read, and the generation before is kept', async t => {
  const { directory, file } = await written(t);
  t.same((await file.load(boot)).state, second);
  t.same(
    JSON.parse(await readFile(join(directory, 'state.json.previous'), 'utf8')).savedDefaults,
    first.savedDefaults,
  );
});

t.test('cut short anywhere, or with any bit flipped, it never throws and never guesses', async t => {
  const { directory } = await written(t);
  const files = await readdir(directory);
  t.same(files.sort(), ['state.json', 'state.json.copy', 'state.json.previous']);
  const good = new Map<string, Buffer>();
  for (const name of files) good.set(name, await readFile(join(directory, name)));
  const known = [first, second, emptyState(boot)].map(state => JSON.stringify(state));
  let count = 0;
  for (const [name, whole] of good) {
    for (const bytes of damaged(whole)) {
      for (const [other, content] of good)
        await writeFile(join(directory, other), other === name ? bytes : content);
      const { state } = await new StateFile(directory).load(boot);
      const expected = JSON.stringify(second);
      if (JSON.stringify(state) !== expected) t.fail(`${name} damaged: ${JSON.stringify(state)}`);
      for (const other of files) await writeFile(join(directory, other), bytes);
      const guess = JSON.stringify((await new StateFile(directory).load(boot)).state);
      if (!known.includes(guess)) t.fail(`all damaged: ${guess}`);
      count++;
    }
  }
  t.comment(`${count} damaged files`);
});

/** Cut before every byte, and every byte with one bit of it flipped. */
function damaged(whole: Buffer): Buffer[] {
  return Array.from(whole, (byte, at) => [
    whole.subarray(0, at),
    Buffer.from([...whole.subarray(0, at), byte ^ (1 << (at % 8)), ...whole.subarray(at + 1)]),
  ]).flat();
}

t.test('a file that cannot be used is told, kept aside, and the next best is used', async t => {
  const rows: [string, RegExp][] = [
    ['nonsense', /not JSON/],
    [JSON.stringify({ ...second, schema: 0 }), /schema 0/],
    [JSON.stringify({ ...second, schema: 2 }), /schema 2/],
    [JSON.stringify({ ...second, links: 'many' }), /not a state: links/],
    [
      JSON.stringify({ ...second, savedDefaults: [{ family: 'inet', route: '10.0.0.0/8 dev eth0' }] }),
      /no default route/,
    ],
    [
      JSON.stringify({ ...second, savedDefaults: [{ family: 'inet', route: 'default\nroute flush' }] }),
      /not a state/,
    ],
  ];
  for (const [text, words] of rows) {
    const { path, file } = await written(t);
    await writeFile(path, text);
    const ofCopy = await file.load(boot);
    t.same(ofCopy.state, second, `${text}: the copy`);
    t.match(ofCopy.notices, [{ level: 'warning', text: words }]);
    t.equal(await readFile(`${path}.rejected`, 'utf8'), text);
    await writeFile(`${path}.copy`, text);
    const ofPrevious = await file.load(boot);
    t.same(ofPrevious.state, first, `${text}: the generation before`);
    t.match(ofPrevious.notices, [{ level: 'warning', text: words }]);
    await file.save(second);
    t.same((await file.load(boot)).state, second, 'and the next save is as ever');
  }
});

t.test('what is no plain file is set aside, and waited for by nobody', { timeout: 10_000 }, async t => {
  for (const command of ['mkfifo', 'mkdir']) {
    const { path, file } = await written(t);
    await rm(path);
    execFileSync(command, [path]);
    const { state, notices } = await file.load(boot);
    t.same(state, second, `${command}: the copy`);
    t.match(notices, [{ level: 'warning', text: /cannot be read: not a plain file/ }]);
    await file.save(first);
    t.same((await file.load(boot)).state, first, 'and the next save is as ever');
    await rm(`${path}.rejected`, { recursive: true });
  }
});

for (const isFull of [false, true]) {
  t.test(
    `a directory${isFull ? ' with something in it' : ''} in the place of any file: the save goes on`,
    async t => {
      const rows = [
        ...['state.json', 'state.json.copy', 'state.json.previous', 'state.json.previous.next'],
        ...[`.state.json.${process.pid}`, `.state.json.${process.pid}.copy`],
      ];
      for (const name of rows) {
        const { directory, file, path } = await written(t);
        const plant = async (at: string) => {
          await rm(at, { recursive: true, force: true });
          await mkdir(at);
          if (isFull) await writeFile(join(at, 'x'), 'x');
        };
        await plant(join(directory, `${name}.rejected`));
        for (let i = 0; i < 2; i++) {
          await plant(join(directory, name));
          await file.save(first);
          t.same((await new StateFile(directory).load(boot)).state, first, `${name}: it is saved`);
          await file.save(second);
          t.same((await new StateFile(directory).load(boot)).state, second, 'and again');
          t.same(
            (await readdir(directory)).filter(one => !one.includes('.rejected')).sort(),
            ['state.json', 'state.json.copy', 'state.json.previous'],
            'every file is there',
          );
          for (const one of ['state.json', 'state.json.copy']) await writeFile(join(directory, one), 'x');
          t.same((await new StateFile(directory).load(boot)).state, first, 'and so is the generation before');
          await file.save(second);
        }
        const kept = (await readdir(directory)).filter(one => one.startsWith(`${name}.rejected`));
        if (isFull) t.ok(kept.length >= 3, `what was in the way is kept: ${kept}`);
        t.equal(await readFile(`${path}.copy`, 'utf8'), await readFile(path, 'utf8'));
        await rm(directory, { recursive: true });
      }
    },
  );
}

t.test('what is damaged is set aside also where a directory has the name', async t => {
  const { file, path } = await written(t);
  await mkdir(join(`${path}.rejected`, 'full'), { recursive: true });
  await writeFile(path, 'nonsense');
  t.same((await file.load(boot)).state, second, 'the copy');
  t.equal(await readFile(`${path}.rejected.2`, 'utf8'), 'nonsense');
});

t.test(
  'links, fifos and left-overs in the place of a temporary file hold nothing up',
  { timeout: 10_000 },
  async t => {
    for (const command of [['mkfifo'], ['ln', '-s', '/nonexistent/x'], ['touch']]) {
      for (const name of [`.state.json.${process.pid}`, `.state.json.${process.pid}.copy`]) {
        const { directory, file } = await written(t);
        execFileSync(command[0] ?? '', [...command.slice(1), join(directory, name)]);
        await file.save(first);
        t.same(
          (await readdir(directory)).sort(),
          ['state.json', 'state.json.copy', 'state.json.previous'],
          `${command} ${name}`,
        );
        t.same((await file.load(boot)).state, first);
      }
    }
  },
);

t.test('a file that is too long is not read, whatever is in it, and none is written', async t => {
  const { path, file } = await written(t);
  await truncate(path, 8e9);
  const before = process.resourceUsage().maxRSS;
  const { state, notices } = await file.load(boot);
  t.same(state, second, 'the copy');
  t.match(notices, [{ text: /cannot be read: too long: 8000000000 bytes, and 67108864 at most are read/ }]);
  await truncate(`${path}.copy`, 200e6);
  t.same((await file.load(boot)).state, first, 'the generation before');
  t.ok(process.resourceUsage().maxRSS - before < 100_000, 'kilobytes of memory');
  await file.save(second);
  const saved = { family: 'inet' as const, route: `default dev ${'x'.repeat(64 << 20)}` };
  await t.rejects(file.save({ ...first, savedDefaults: [saved] }), {
    name: 'StateError',
    message: /cannot be written to .*: too long/,
  });
  t.same((await file.load(boot)).state, second, 'and the one before stays');
});

t.test('all damaged: a loud start from what the kernel shows', async t => {
  const { directory, path, file } = await written(t);
  await writeFile(path, '{');
  await writeFile(join(directory, 'state.json.copy'), '[]');
  await writeFile(join(directory, 'state.json.previous'), '');
  const { state, notices } = await file.load(boot);
  t.same(state, emptyState(boot));
  t.equal(notices.length, 3);
  t.match(notices.at(-1), { level: 'warning', text: /starting from what the kernel shows/ });
});

t.test('where somebody has put another boot’s id in, it is of that boot, whatever its checksum', async t => {
  for (const other of [
    '99999999-2222-3333-4444-555555555555',
    '99999999222233334444555555555555',
    'the boot before',
  ]) {
    const { directory, path } = await written(t);
    await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), bootId: other }));
    const { state, notices } = await new StateFile(directory).load(boot);
    t.same(state, emptyState(boot), other);
    t.match(notices, [{ level: 'notice', text: /earlier boot/ }]);
  }
});

t.test('no file is set aside for want of a descriptor', async t => {
  const { directory, file } = await written(t);
  const next = descriptors();
  await next();
  const loading = file.load(boot);
  setTimeout(() => void next(), 300);
  t.same(await loading, { state: second, notices: [] });
  t.same((await readdir(directory)).sort(), ['state.json', 'state.json.copy', 'state.json.previous']);
});

t.test('an earlier boot is history; no file is a beginning', async t => {
  const { directory, file } = await written(t);
  const other = await file.load('99999999-2222-3333-4444-555555555555');
  t.same(other.state.savedDefaults, []);
  t.match(other.notices, [{ level: 'notice', text: /earlier boot/ }]);
  await rm(directory, { recursive: true });
  t.same(await file.load(boot), { state: emptyState(boot), notices: [] });
});
