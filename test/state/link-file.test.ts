// Thousands of links: what is read back is what was saved last, and an event writes little.
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import type { Link } from '../../src/core/link/link.ts';
import { emptyState, type State } from '../../src/core/link/state.ts';
import { StateFile } from '../../src/state/state-file.ts';
import { countOf, seed } from '../form.ts';

const boot = 'boot';

function link(order: number, more: Partial<Link> = {}): Link {
  return {
    interface: `ppp${order}`,
    ifindex: order,
    ipparam: 'site',
    linkname: undefined,
    peername: undefined,
    call: undefined,
    manager: undefined,
    order,
    peerOptions: [],
    servers: [],
    ...more,
  } as Link;
}

const many = (count: number) => Array.from({ length: count }, (_, i) => link(i + 1));

/** As a program that starts anew reads it, in an order that can be compared. */
async function readBack(directory: string): Promise<{ links: unknown[]; warnings: string[] }> {
  const { state, notices } = await new StateFile(directory).load(boot);
  const links = JSON.parse(JSON.stringify(state.links)) as Link[];
  return {
    links: links.sort((a, b) => a.order - b.order || Number(a.lost === true) - Number(b.lost === true)),
    warnings: notices.map(({ text }) => text),
  };
}

const plain = (state: State) =>
  (JSON.parse(JSON.stringify(state.links)) as Link[]).sort(
    (a, b) => a.order - b.order || Number(a.lost === true) - Number(b.lost === true),
  );

async function directoryFor(t: { teardown(f: () => unknown): void }): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'links-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** One change of a set of links, as events make them. */
const change = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), count: fc.constantFrom(1, 1, 1, 30, 80) }),
  fc.record({ kind: fc.constant('remove' as const), at: fc.nat(), count: fc.constantFrom(1, 1, 40, 120) }),
  fc.record({ kind: fc.constant('replace' as const), at: fc.nat() }),
  fc.record({ kind: fc.constant('lose' as const), at: fc.nat() }),
  fc.record({ kind: fc.constant('restart' as const) }),
);

t.test('any sequence of changes and restarts is read back as it was saved', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(200),
      fc.array(change, { minLength: 1, maxLength: 12 }),
      async (count, changes) => {
        const directory = await mkdtemp(join(tmpdir(), 'links-'));
        try {
          let file = new StateFile(directory);
          let state: State = { ...emptyState(boot), links: many(count) };
          let next = count + 1;
          await file.save(state);
          for (const step of changes) {
            const links = [...state.links];
            if (step.kind === 'add') for (let i = 0; i < step.count; i++) links.push(link(next++));
            else if (step.kind === 'remove') links.splice(step.at % (links.length + 1), step.count);
            else if (step.kind === 'replace' && links.length > 0) {
              const at = step.at % links.length;
              links[at] = { ...(links[at] as Link), servers: ['203.0.113.5'] };
            } else if (step.kind === 'lose' && links.length > 0) {
              const one = links[step.at % links.length] as Link;
              if (!links.some(other => other.order === one.order && other.lost === true))
                links.push({ ...one, lost: true });
            } else if (step.kind === 'restart') {
              file = new StateFile(directory);
              state = (await file.load(boot)).state;
              continue;
            }
            state = { ...state, links };
            await file.save(state);
            const { links: read, warnings } = await readBack(directory);
            if (warnings.length > 0) throw new Error(warnings.join());
            if (JSON.stringify(read) !== JSON.stringify(plain(state))) throw new Error('not what was saved');
          }
          const names = (await readdir(directory)).filter(name => name.startsWith('links-'));
          if (names.length > 2) throw new Error(`left behind: ${names.join()}`);
        } finally {
          await rm(directory, { recursive: true, force: true });
        }
      },
    ),
    { numRuns: countOf({ short: 100, whole: 200 }), seed },
  );
});

t.test('one event among five thousand links writes little', async t => {
  const directory = await directoryFor(t);
  const file = new StateFile(directory);
  const state = { ...emptyState(boot), links: many(5000) };
  await file.save(state);
  const [name] = (await readdir(directory)).filter(one => one.startsWith('links-'));
  const before = await stat(join(directory, String(name)));
  await file.save({ ...state, links: [...state.links, link(6000)] });
  const after = await stat(join(directory, String(name)));
  t.equal(after.mtimeMs, before.mtimeMs, 'the file of the many is left alone');
  t.ok((await stat(join(directory, 'state.json'))).size < 2000, 'and state.json is small');
});

t.test('a damaged link file: the generation before it is used, and it is told', async t => {
  const directory = await directoryFor(t);
  const file = new StateFile(directory);
  const few = { ...emptyState(boot), links: many(3) };
  await file.save(few);
  await file.save({ ...few, links: many(100) });
  const [name = ''] = (await readdir(directory)).filter(one => one.startsWith('links-'));
  const path = join(directory, name);
  const text = await readFile(path, 'utf8');
  for (const [how, spoil] of [
    ['a flipped bit', () => writeFile(path, text.replace('ppp50', 'ppp51'))],
    ['cut short', () => truncate(path, text.length - 7)],
    ['gone', () => rm(path)],
  ] as const) {
    await writeFile(path, text);
    const kept = await readFile(join(directory, 'state.json'), 'utf8');
    await spoil();
    const { links, warnings } = await readBack(directory);
    t.equal(links.length, 3, `${how}: the three of before`);
    t.match(warnings.join(), /state\.json\.copy cannot be read: .*trying the generation before it/, how);
    await writeFile(join(directory, 'state.json'), kept);
    await writeFile(join(directory, 'state.json.copy'), kept);
  }
});

t.test('a directory in the place of a link file: the save goes on', async t => {
  const directory = await directoryFor(t);
  const many100 = { ...emptyState(boot), links: many(100) };
  await new StateFile(directory).save(many100);
  const [name = ''] = (await readdir(directory)).filter(one => one.startsWith('links-'));
  const full = async (path: string) => {
    await rm(path, { recursive: true, force: true });
    await mkdir(join(path, 'full'), { recursive: true });
  };
  for (const one of [name, `${name}.rejected`, `.state.json.${process.pid}.links`])
    await full(join(directory, one));
  // Of another generation, as it seems: nobody needs it, and it is not ours to delete.
  await full(join(directory, `links-${'0'.repeat(32)}.json`));
  const file = new StateFile(directory);
  await file.load(boot);
  await file.save(many100);
  const { links, warnings } = await readBack(directory);
  t.equal(links.length, 100);
  t.same(warnings, []);
  await file.save({ ...many100, links: many(3) });
  await file.save({ ...many100, links: many(4) });
  t.equal((await readBack(directory)).links.length, 4);
});
