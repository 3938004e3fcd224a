import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { emptyState, type State } from '../../src/core/state.ts';
import { StateFile } from '../../src/store/state-file.ts';

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

t.test('cut short anywhere, or with a bit flipped, it never throws and never guesses', async t => {
  const { directory, path } = await written(t);
  const whole = await readFile(path);
  const previous = await readFile(join(directory, 'state.json.previous'));
  const damaged = [
    ...Array.from({ length: whole.length }, (_, i) => whole.subarray(0, i)),
    ...Array.from({ length: whole.length }, (_, i) =>
      Buffer.from(whole.map((byte, at) => (at === i ? byte ^ 0x10 : byte))),
    ),
  ];
  for (const bytes of damaged) {
    await writeFile(path, bytes);
    await writeFile(join(directory, 'state.json.previous'), previous);
    const { state } = await new StateFile(directory).load(boot);
    const routes = state.savedDefaults.map(({ route }) => route);
    const saved = [...second.savedDefaults, ...first.savedDefaults].map(({ route }) => route);
    if (!routes.every(route => saved.includes(route))) t.fail(`a route that nobody saved: ${routes.join()}`);
  }
  t.equal(damaged.length, whole.length * 2);
});

t.test('a file that cannot be used is told, kept aside, and the generation before is used', async t => {
  const rows: [string, RegExp][] = [
    ['nonsense', /not JSON/],
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
    const { state, notices } = await file.load(boot);
    t.same(state, first, text);
    t.match(notices, [{ level: 'warning', text: words }]);
    t.equal(await readFile(`${path}.rejected`, 'utf8'), text);
    await file.save(second);
    t.same((await file.load(boot)).state, second, 'and the next save is as ever');
  }
});

t.test('both generations damaged: a loud start from what the kernel shows', async t => {
  const { directory, path, file } = await written(t);
  await writeFile(path, '{');
  await writeFile(join(directory, 'state.json.previous'), '');
  const { state, notices } = await file.load(boot);
  t.same(state, emptyState(boot));
  t.match(notices, [{ level: 'warning' }, { level: 'warning', text: /starting from what the kernel shows/ }]);
});

t.test('an earlier boot is history; no file is a beginning', async t => {
  const { directory, file } = await written(t);
  const other = await file.load('99999999-2222-3333-4444-555555555555');
  t.same(other.state.savedDefaults, []);
  t.match(other.notices, [{ level: 'notice', text: /earlier boot/ }]);
  await rm(directory, { recursive: true });
  t.same(await file.load(boot), { state: emptyState(boot), notices: [] });
});
