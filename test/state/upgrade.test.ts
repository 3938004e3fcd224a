import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { StateDirectory } from '../../src/state/state-directory.ts';
import { boot, linkOf, otherBoot, saved, textBefore } from './links.ts';

const links = [linkOf(7), linkOf(8, { lost: true, order: 3 })];
const before = { schema: 1, bootId: boot, savedDefaults: saved, links };
const taken = { savedDefaults: saved, links: [linkOf(8, { lost: true, order: 3 }), linkOf(7)] };
const nothing = { savedDefaults: [], links: [] };
const notice = { level: 'notice', text: /^taking over the state in / };

/** The directory of the version before with these files, and one of this version. */
function upgraded(t: Test, files: Record<string, string>) {
  const directory = t.testdir({ before: files });
  const own = join(directory, 'own');
  const old = join(directory, 'before');
  return { own, old, load: (id = boot) => new StateDirectory(own, { before: old }).load(id) };
}

/** Many links: most are in a file that is named after its contents. */
function withMore({ bootId = boot, base = links } = {}): Record<string, string> {
  const text = `[\n${base.map(link => JSON.stringify(link)).join(',\n')}\n]\n`;
  const file = `links-${createHash('sha256').update(text).digest('hex').slice(0, 32)}.json`;
  const content = { ...before, bootId, links: [linkOf(9)], more: { file, gone: [2 * 10] } };
  return { 'state.json': textBefore(content), [file]: text };
}

const rows: Record<string, Record<string, string>> = {
  'state.json': { 'state.json': textBefore(before) },
  'without a checksum, as a person writes it': { 'state.json': JSON.stringify(before) },
  'its copy, where it is damaged': {
    'state.json': textBefore(before).slice(0, 100),
    'state.json.copy': textBefore(before),
    'state.json.previous': textBefore({ ...before, links: [] }),
  },
  'the generation before, where both are damaged': {
    'state.json': textBefore(before).replace('wlp2s0', 'wlp2s1'),
    'state.json.copy': '',
    'state.json.previous': textBefore(before),
  },
};

for (const [what, files] of Object.entries(rows)) {
  t.test(`the state of this boot is taken over: ${what}`, async t => {
    const { own, old, load } = upgraded(t, { ...files, 'state.json.rejected': 'kept' });
    const { notices, unreadable, ...content } = load();
    t.same(content, taken);
    t.match(notices, [notice]);
    t.equal(notices.length, 1);
    t.same(unreadable, []);
    t.same(readdirSync(old), ['state.json.rejected']);
    t.same(readdirSync(join(own, 'links')).sort(), ['7.json', '8.lost.3.json']);
    t.same(load(), { ...taken, notices: [], unreadable: [] }, 'once');
  });
}

t.test('many links are taken over, whichever file they are in', async t => {
  const base = [linkOf(9, { interface: 'earlier' }), linkOf(10), linkOf(11)];
  const { old, load } = upgraded(t, withMore({ base }));
  t.match(load(), { savedDefaults: saved, links: [linkOf(9), linkOf(11)], notices: [notice] });
  t.same(readdirSync(old), []);
});

t.test('a file of links that is damaged: the generation before has another', async t => {
  const files = withMore();
  const [, name = ''] = Object.keys(files);
  const { load } = upgraded(t, { ...files, [name]: '[]', 'state.json.previous': textBefore(before) });
  t.match(load(), { ...taken, notices: [notice] });
});

t.test('nothing is taken over: another boot, or nothing there', async t => {
  for (const files of [
    {},
    { 'state.json': textBefore({ ...before, bootId: otherBoot }) },
    withMore({ bootId: otherBoot }),
  ]) {
    const { own, old, load } = upgraded(t, files);
    t.same(load(), { ...nothing, notices: [], unreadable: [] });
    t.notOk(existsSync(own));
    t.same(readdirSync(old).sort(), Object.keys(files).sort(), 'history stays');
    rmSync(t.testdirName, { recursive: true });
  }
});

t.test('all of it is damaged: a warning', async t => {
  const { own, old, load } = upgraded(t, { 'state.json': '{', 'state.json.copy': '{' });
  const { notices, ...content } = load();
  t.same(content, { ...nothing, unreadable: [] });
  t.match(notices, [
    { level: 'warning', text: /before\/state\.json is not JSON, or cut short; what it held is not known$/ },
  ]);
  t.equal(notices.length, 1);
  t.notOk(existsSync(own));
  t.equal(readdirSync(old).length, 2);
});

t.test('/var is read-only, so that the files stay: they are not taken over a second time', async t => {
  const { own, old, load } = upgraded(t, { 'state.json': textBefore(before) });
  const kept = `${old}.kept`;
  cpSync(old, kept, { recursive: true });
  const stays = () => cpSync(kept, old, { recursive: true });
  t.match(load(), taken);
  stays();
  t.match(load(), { ...taken, notices: [] });
  const state = new StateDirectory(own, { before: old });
  state.load(boot);
  for (const link of links) state.removeLink(link);
  state.saveDefaults([]);
  t.same(load(), { ...nothing, notices: [], unreadable: [] }, 'after the last down');
  rmSync(join(own, 'state.json'));
  symlinkSync('state.json', join(own, 'state.json'));
  t.match(load(), { ...nothing, unreadable: [{}] }, 'where nobody can tell whether state.json is there');
  rmSync(join(own, 'state.json'));
  writeFileSync(join(own, 'state.json'), '{');
  t.match(load(), { ...nothing, unreadable: [{}] }, 'where state.json is damaged');
  const damaged = new StateDirectory(own, { before: old });
  damaged.load(boot);
  t.same(damaged.setAside(), []);
  t.same(load(), { ...nothing, notices: [], unreadable: [] }, 'where it was set aside');
});

t.test('killed while it takes over: the next one goes on, and what is here is newer', async t => {
  const { own, load } = upgraded(t, { 'state.json': textBefore(before) });
  const killed = new StateDirectory(own);
  killed.load(boot);
  killed.saveLink(linkOf(7, { interface: 'later' }));
  t.match(load(), { ...taken, links: [taken.links[0], { interface: 'later' }], notices: [notice] });
  t.match(load(), { savedDefaults: saved, links: [{}, { interface: 'later' }], notices: [] });
});

t.test(
  'what was taken over cannot be written: nothing is removed, and it is tried at the next write',
  async t => {
    const { own, old, load } = upgraded(t, { 'state.json': textBefore(before) });
    // A symbolic link to itself is neither a directory nor missing.
    mkdirSync(own);
    symlinkSync('links', join(own, 'links'));
    const state = new StateDirectory(own, { before: old });
    for (let start = 1; start <= 2; start++) {
      const { notices, unreadable, ...content } = state.load(boot);
      t.same(content, taken);
      t.match(unreadable, [{ path: join(own, 'links') }]);
      t.match(notices.at(-1), { level: 'warning', text: /^the state cannot be written to .*: ELOOP/ });
      t.throws(() => state.saveDefaults([]), { name: 'StateError' });
      t.equal(readFileSync(join(old, 'state.json'), 'utf8'), textBefore(before));
    }
    rmSync(join(own, 'links'));
    state.saveDefaults([]);
    t.same(readdirSync(old), []);
    t.match(load(), { savedDefaults: [], links: taken.links, notices: [] });
  },
);
