// The state directory against a model, and killed while it writes.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import fc from 'fast-check';
import t from 'tap';
import type { Link } from '../../src/core/link/link.ts';
import type { SavedDefault } from '../../src/core/link/state.ts';
import { StateDirectory } from '../../src/state/state-directory.ts';
import { boot, linkOf, saved } from './links.ts';

const seed = Number(process.env.SEED ?? 1);

const link = fc
  .record({
    ifindex: fc.integer({ min: 1, max: 4 }),
    order: fc.integer({ min: 1, max: 3 }),
    lost: fc.boolean(),
    interface: fc.string({ unit: 'binary', maxLength: 8 }),
  })
  .map(({ ifindex, lost, ...more }) => linkOf(ifindex, { ...more, ...(lost && { lost }) }));

/** One thing that is done, to the directory and to the model. */
type Deed =
  | { do: 'save' | 'remove'; link: Link }
  | { do: 'default'; metric: number }
  | { do: 'damage'; link: Link }
  | { do: 'load' | 'reread' | 'set aside' };

const deed: fc.Arbitrary<Deed> = fc.oneof(
  fc.record({ do: fc.constantFrom('save' as const, 'remove' as const, 'damage' as const), link }),
  fc.record({ do: fc.constant('default' as const), metric: fc.nat(9) }),
  fc.record({ do: fc.constantFrom('load' as const, 'reread' as const, 'set aside' as const) }),
);

const nameOf = ({ ifindex, lost, order }: Link) =>
  lost === true ? `${ifindex}.lost.${order}.json` : `${ifindex}.json`;

class Model {
  readonly directory: string;
  state: StateDirectory;
  savedDefaults: SavedDefault[] = [];
  links = new Map<string, Link>();
  /** What has been damaged since a load noticed it, and before. */
  damaged = new Set<string>();
  noticed = new Set<string>();

  constructor(directory: string) {
    this.directory = directory;
    this.state = new StateDirectory(directory);
    this.state.load(boot);
  }

  apply(deed: Deed): void {
    if (deed.do === 'save') this.save(deed.link);
    if (deed.do === 'remove') this.remove(deed.link);
    if (deed.do === 'damage') this.damage(deed.link);
    if (deed.do === 'default') this.saveDefault(deed.metric);
    if (deed.do === 'load') this.load();
    if (deed.do === 'reread') this.reread();
    if (deed.do === 'set aside') this.setAside();
  }

  save(link: Link): void {
    this.state.saveLink(link);
    this.links.set(nameOf(link), link);
    this.mend(nameOf(link));
  }

  remove(link: Link): void {
    this.state.removeLink(link);
    this.links.delete(nameOf(link));
    this.mend(nameOf(link));
  }

  saveDefault(metric: number): void {
    this.savedDefaults = [{ family: 'inet', route: `default dev eth0 metric ${metric}` }];
    this.state.saveDefaults(this.savedDefaults);
  }

  damage(link: Link): void {
    mkdirSync(join(this.directory, 'links'), { recursive: true });
    writeFileSync(join(this.directory, 'links', nameOf(link)), '{"schema":');
    this.links.delete(nameOf(link));
    this.damaged.add(nameOf(link));
  }

  load(): void {
    this.state = new StateDirectory(this.directory);
    const { links, savedDefaults } = this.state.load(boot);
    this.noticed = new Set(this.damaged);
    expectSame(sorted(links), sorted([...this.links.values()]));
    expectSame(savedDefaults, this.savedDefaults);
    this.expectUnreadable();
  }

  reread(): void {
    expectSame(this.state.reread().links, []);
    this.expectUnreadable();
  }

  setAside(): void {
    expectSame(this.state.setAside(), []);
    for (const name of this.noticed) this.mend(name);
    this.expectUnreadable();
  }

  mend(name: string): void {
    this.damaged.delete(name);
    this.noticed.delete(name);
  }

  expectUnreadable(): void {
    const paths = [...this.noticed].map(name => join(this.directory, 'links', name));
    expectSame(this.state.unreadable.map(({ path }) => path).sort(), paths.sort());
  }
}

function sorted(links: readonly Link[]): Link[] {
  return [...links].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

function expectSame(found: unknown, expected: unknown): void {
  const [left, right] = [found, expected].map(value => JSON.stringify(value));
  if (left !== right) throw new Error(`found ${left}, expected ${right}`);
}

t.test('whatever is done, what was saved is read, and what was removed is not', async t => {
  let runs = 0;
  fc.assert(
    fc.property(fc.array(deed, { maxLength: 40 }), deeds => {
      const directory = join(t.testdirName, String(runs++));
      const model = new Model(directory);
      for (const one of deeds) model.apply(one);
      rmSync(directory, { recursive: true, force: true });
    }),
    { seed, numRuns: 300 },
  );
  t.equal(runs, 300);
});

t.test(
  'two writers are killed: every file is whole, and nothing but temporary files is left over',
  async t => {
    const directory = t.testdir();
    // Without the loader of the tests a writer starts in a tenth of the time.
    const writer = join(t.testdirName, '../writer.mjs');
    t.teardown(() => rmSync(writer, { force: true }));
    const entryPoints = [join(import.meta.dirname, 'writer.ts')];
    await build({ entryPoints, outfile: writer, bundle: true, platform: 'node', format: 'esm' });
    for (let round = 0; round < 3; round++) {
      const writers = ['1', '4'].map(first => ({
        first: Number(first),
        reached: 0,
        child: fork(writer, [directory, first], { execArgv: [], env: {} }),
      }));
      await Promise.all(
        writers.map(async writer => {
          writer.child.on('message', reached => {
            writer.reached = Number(reached);
          });
          while (writer.reached < 5 + round) await once(writer.child, 'message');
          writer.child.kill('SIGKILL');
          await once(writer.child, 'close');
        }),
      );
      const left = [...readdirSync(directory), ...readdirSync(join(directory, 'links'))].sort();
      const whole = ['1', '2', '3', '4', '5', '6'].map(ifindex => `${ifindex}.json`);
      t.same(
        left.filter(name => !/^\.(\d|state)\.json\.\d+$/.test(name)),
        [...whole, 'links', 'state.json'],
      );
      const { links, notices, savedDefaults } = new StateDirectory(directory).load(boot);
      t.same({ notices, savedDefaults }, { notices: [], savedDefaults: saved });
      for (const { first, reached } of writers)
        for (let ifindex = first; ifindex < first + 3; ifindex++) {
          const order = links.find(found => found.ifindex === ifindex)?.order ?? 0;
          t.ok(order >= reached, `ppp${ifindex}: ${order}, and ${reached} was acknowledged`);
        }
      t.notOk(readdirSync(join(directory, 'links')).some(name => name.startsWith('.')));
    }
  },
);
