import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Loaded, StateDirectory } from '../../src/state/state-directory.ts';
import { boot, linkOf, otherBoot, saved, textBefore } from './links.ts';

const lost = linkOf(8, { lost: true, order: 3 });
const names = ['links/7.json', 'links/8.lost.3.json', 'state.json'];

/** A directory with a saved default, a link that is up and one that is lost. */
function written(t: Test): { directory: string; state: StateDirectory; pathOf(name: string): string } {
  const directory = join(t.testdir(), 'state');
  const state = new StateDirectory(directory);
  state.load(boot);
  state.saveDefaults(saved);
  state.saveLink(linkOf(7));
  state.saveLink(lost);
  return { directory, state, pathOf: name => join(directory, name) };
}

function contentOf({ savedDefaults, links }: Loaded): object {
  return { savedDefaults, links };
}

function filesIn(directory: string): string[] {
  const all = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  return all.filter(name => statSync(join(directory, name)).isFile()).sort();
}

const whole = { savedDefaults: saved, links: [lost, linkOf(7)] };
/** What is left where one file of `names` gives nothing. */
const rest: Record<string, object> = {
  'links/7.json': { savedDefaults: saved, links: [lost] },
  'links/8.lost.3.json': { savedDefaults: saved, links: [linkOf(7)] },
  'state.json': { savedDefaults: [], links: [lost, linkOf(7)] },
};

t.test('what was saved is read, in one small file a link, which only the owner may read', async t => {
  const { directory, state, pathOf } = written(t);
  t.same(state.load(boot), { ...whole, notices: [], unreadable: [] });
  t.same(filesIn(directory), names);
  for (const name of names) t.equal(statSync(pathOf(name)).mode & 0o777, 0o600, name);
  for (const path of [directory, pathOf('links')]) t.equal(statSync(path).mode & 0o777, 0o700, path);
  t.match(
    readFileSync(pathOf('state.json'), 'utf8'),
    `      "route": "default via 192.168.1.1 dev wlp2s0 metric 302"\n`,
    'a person can read it',
  );
  t.equal(JSON.parse(readFileSync(pathOf('state.json'), 'utf8')).schema, 2);
  state.removeLink(linkOf(7));
  state.removeLink(linkOf(7));
  state.saveDefaults([]);
  t.same(new StateDirectory(directory).load(boot), {
    savedDefaults: [],
    links: [lost],
    notices: [],
    unreadable: [],
  });
});

t.test('no file is the beginning', async t => {
  const directory = join(t.testdir(), 'none');
  const nothing = { savedDefaults: [], links: [], notices: [], unreadable: [] };
  t.same(new StateDirectory(directory).load(boot), nothing);
  t.throws(() => new StateDirectory(directory).saveDefaults(saved), { name: 'StateError' }, 'of no boot');
});

t.test('a link is up for one family and lost for the other, and was lost once before', async t => {
  const { directory, state } = written(t);
  const links = [
    linkOf(9, { order: 4, lost: true, inet6: {}, inet: undefined }),
    linkOf(9, { order: 5 }),
    linkOf(9, { order: 5, lost: true, inet6: {}, inet: undefined }),
  ];
  for (const link of links) state.saveLink(link);
  t.same(contentOf(new StateDirectory(directory).load(boot)), {
    savedDefaults: saved,
    links: JSON.parse(JSON.stringify([lost, ...links, linkOf(7)])),
  });
});

t.test('cut anywhere, or with any bit flipped, a file loses what it held and nothing else', async t => {
  const { directory, pathOf } = written(t);
  let count = 0;
  for (const name of names) {
    const good = readFileSync(pathOf(name));
    for (const bytes of damaged(good)) {
      writeFileSync(pathOf(name), bytes);
      const loaded = new StateDirectory(directory).load(boot);
      const { notices, unreadable } = loaded;
      const isRead = unreadable.length === 0;
      const expected = {
        content: isRead ? whole : rest[name],
        paths: isRead ? [] : [pathOf(name)],
        levels: isRead ? [] : ['warning'],
      };
      const found = {
        content: contentOf(loaded),
        paths: unreadable.map(({ path }) => path),
        levels: notices.map(({ level }) => level),
      };
      if (JSON.stringify(found) !== JSON.stringify(expected)) t.same(found, expected, `${name}: ${bytes}`);
      if (!readFileSync(pathOf(name)).equals(bytes)) t.fail(`${name} is not where it was: ${bytes}`);
      count++;
    }
    writeFileSync(pathOf(name), good);
  }
  t.comment(`${count} damaged files`);
  t.ok(count > 1000);
  t.same(filesIn(directory), names);
});

/** Cut before every byte, and every byte with one bit of it flipped. */
function damaged(whole: Buffer): Buffer[] {
  return Array.from(whole, (byte, at) => [
    whole.subarray(0, at),
    Buffer.from([...whole.subarray(0, at), byte ^ (1 << (at % 8)), ...whole.subarray(at + 1)]),
  ]).flat();
}

/** Puts something at a path that is free. */
type Put = (path: string) => void;
const text = (content: object | string): Put => {
  const bytes = typeof content === 'string' ? content : JSON.stringify(content);
  return path => writeFileSync(path, bytes);
};
const run = (command: string, ...given: string[]): Put => {
  return path => execFileSync(command, [...given, path]);
};
const state2 = { schema: 2, bootId: boot, savedDefaults: saved };

const useless: [name: string, what: string, put: Put, words: RegExp][] = [
  ['state.json', 'nonsense', text('nonsense'), /^is not JSON, or cut short$/],
  ['state.json', 'empty', text(''), /^is not JSON, or cut short$/],
  ['state.json', 'no object', text('null'), /^is not a state: the whole: /],
  ['state.json', 'of an unknown form', text({ ...state2, schema: 3 }), /^is not a state: schema: .*3/],
  ['state.json', 'of no boot', text({ ...state2, bootId: 1 }), /^is not a state: bootId: /],
  ['state.json', 'changed', text({ ...state2, checksum: '00' }), /^is damaged: its checksum does not fit$/],
  [
    'state.json',
    'no default route',
    text({ ...state2, savedDefaults: [{ family: 'inet', route: '10.0.0.0/8 dev eth0' }] }),
    /^is not a state: savedDefaults\.0: "10\.0\.0\.0\/8 dev eth0" is no default route$/,
  ],
  [
    'state.json',
    'two lines',
    text({ ...state2, savedDefaults: [{ family: 'inet', route: 'default\nroute flush' }] }),
    /^is not a state: savedDefaults\.0\.route: .*"default\\u000aroute flush"$/,
  ],
  ['state.json', 'a fifo', run('mkfifo'), /^cannot be read: not a plain file$/],
  ['state.json', 'a directory', run('mkdir'), /^cannot be read: not a plain file$/],
  ['state.json', 'a loop of links', run('ln', '-s', 'state.json'), /^cannot be read: ELOOP/],
  [
    'state.json',
    'too long',
    run('truncate', '-s8G'),
    /^cannot be read: too long: 8589934592 bytes, and 67108864 at/,
  ],
  ['links/7.json', 'no link', text({ schema: 2, bootId: boot, link: {} }), /^is not a state: link\./],
  ['links/7.json', 'of form 1', text({ ...state2, schema: 1, links: [] }), /^is not a state: schema: /],
  [
    'links/7.json',
    'another link',
    text({ schema: 2, bootId: boot, link: lost }),
    /its name is another link’s$/,
  ],
  [
    'links/7.json',
    'too long',
    run('truncate', '-s2M'),
    /^cannot be read: too long: 2097152 bytes, and 1048576 at/,
  ],
  ['links/8.lost.3.json', 'a fifo', run('mkfifo'), /^cannot be read: not a plain file$/],
];

for (const [name, what, put, words] of useless) {
  t.test(`${name} is ${what}`, { timeout: 10_000 }, async t => {
    const { directory, state, pathOf } = written(t);
    const good = readFileSync(pathOf(name));
    const spoil = () => {
      rmSync(pathOf(name), { recursive: true, force: true });
      put(pathOf(name));
    };
    spoil();
    const loaded = state.load(boot);
    t.same(contentOf(loaded), rest[name], 'the others are whole');
    t.match(loaded.unreadable, [{ path: pathOf(name), why: words }]);
    t.same(loaded.notices, [
      { level: 'warning', text: `${pathOf(name)} ${loaded.unreadable[0]?.why}; what it held is not known` },
    ]);
    const nothing = { savedDefaults: [], links: [], notices: [] };
    t.same(state.reread(), { ...nothing, unreadable: loaded.unreadable }, 'it stays, and is not told again');

    rmSync(pathOf(name), { recursive: true });
    writeFileSync(pathOf(name), good);
    t.same(state.unreadable, loaded.unreadable);
    const again = state.reread();
    t.same(
      [...again.savedDefaults, ...again.links],
      name === 'state.json' ? saved : name.includes('7') ? [linkOf(7)] : [lost],
    );
    t.same(state.unreadable, [], 'it was put back');

    spoil();
    state.load(boot);
    rmSync(pathOf(name), { recursive: true });
    t.same(state.reread(), { ...nothing, unreadable: [] }, 'it is gone');

    spoil();
    state.load(boot);
    state.saveDefaults(saved);
    state.saveLink(linkOf(7));
    state.saveLink(lost);
    t.same(state.unreadable, [], 'it is written anew');
    t.same(contentOf(new StateDirectory(directory).load(boot)), whole);
    const kept = readdirSync(join(pathOf(name), '..')).filter(one => one.includes('.rejected'));
    t.equal(kept.length, what === 'empty' ? 0 : 1, 'what was there is kept');

    spoil();
    state.load(boot);
    t.same(state.setAside(), []);
    t.same(state.unreadable, [], 'it is set aside');
    t.same(new StateDirectory(directory).load(boot), { ...rest[name], notices: [], unreadable: [] });
  });
}

t.test('a link is removed whose file is damaged: the file is kept', async t => {
  const { state, pathOf } = written(t);
  writeFileSync(pathOf('links/7.json'), 'nonsense');
  state.load(boot);
  state.removeLink(linkOf(7));
  t.same(state.unreadable, []);
  t.equal(readFileSync(pathOf('links/7.json.rejected'), 'utf8'), 'nonsense');
});

t.test('of many files that cannot be read ten are named', async t => {
  const { directory, state, pathOf } = written(t);
  for (let ifindex = 100; ifindex < 125; ifindex++) writeFileSync(pathOf(`links/${ifindex}.json`), '{');
  const { notices, unreadable, ...content } = state.load(boot);
  t.same(content, whole);
  t.equal(unreadable.length, 25);
  t.equal(notices.length, 11);
  t.same(notices[10], { level: 'warning', text: `15 more files in ${directory} cannot be read` });
});

t.test('links/ is a file', async t => {
  const { directory, state, pathOf } = written(t);
  rmSync(pathOf('links'), { recursive: true });
  writeFileSync(pathOf('links'), 'x');
  const loaded = state.load(boot);
  t.same(contentOf(loaded), { savedDefaults: saved, links: [] });
  t.match(loaded.unreadable, [{ path: pathOf('links'), why: /^cannot be read: ENOTDIR/ }]);
  state.removeLink(lost);
  state.saveLink(linkOf(7));
  t.equal(readFileSync(pathOf('links.rejected'), 'utf8'), 'x');
  t.same(contentOf(state.reread()), { savedDefaults: [], links: [linkOf(7)] });
  t.same(state.unreadable, []);
  t.same(contentOf(new StateDirectory(directory).load(boot)), { savedDefaults: saved, links: [linkOf(7)] });
});

t.test('state of another boot is history: one notice, and its files are removed', async t => {
  const { directory, state, pathOf } = written(t);
  writeFileSync(pathOf('links/7.json'), 'nonsense');
  const { notices, unreadable, ...content } = state.load(otherBoot);
  t.same(content, { savedDefaults: [], links: [] });
  t.match(notices, [
    { level: 'notice', text: /earlier boot/ },
    { level: 'warning', text: /7\.json is not JSON/ },
  ]);
  t.equal(unreadable.length, 1, 'nobody knows which boot that file is of');
  t.same(filesIn(directory), ['links/7.json']);
});

t.test('where somebody has put another boot’s id in, it is of that boot, whatever its checksum', async t => {
  for (const id of [otherBoot, otherBoot.replaceAll('-', ''), 'the boot before']) {
    const { state, directory, pathOf } = written(t);
    for (const name of names)
      writeFileSync(pathOf(name), readFileSync(pathOf(name), 'utf8').replace(boot, id));
    t.match(state.load(boot), {
      savedDefaults: [],
      links: [],
      notices: [{ level: 'notice' }],
      unreadable: [],
    });
    t.same(filesIn(directory), []);
    rmSync(directory, { recursive: true });
  }
});

const byHand: Record<string, string> = {
  'form 2 without a checksum': JSON.stringify(state2),
  'form 1 without a checksum': JSON.stringify({ ...state2, schema: 1, links: [] }),
  'form 1 with one': textBefore({ ...state2, schema: 1, links: [] }),
};
for (const [what, content] of Object.entries(byHand)) {
  t.test(`a person puts state.json there: ${what}`, async t => {
    const { directory, pathOf } = written(t);
    writeFileSync(pathOf('state.json'), content);
    const expected = { ...whole, notices: [], unreadable: [] };
    t.same(new StateDirectory(directory).load(boot), expected);
    t.same(new StateDirectory(directory).load(boot), expected, 'and again');
  });
}

t.test('links in state.json, as in form 1, are written before anything else is', async t => {
  const { directory, state, pathOf } = written(t);
  const links = [linkOf(7, { interface: 'later' }), linkOf(9)];
  writeFileSync(pathOf('state.json'), JSON.stringify({ ...state2, schema: 1, links }));
  rmSync(pathOf('links/8.lost.3.json'));
  run('mkdir', '-p')(pathOf('links/9.json.rejected/full'));
  // Cannot be written: a loop is no directory.
  rmSync(pathOf('links'), { recursive: true });
  run('ln', '-s', 'links')(pathOf('links'));
  t.match(state.load(boot), {
    links,
    savedDefaults: saved,
    notices: [{ level: 'warning' }, { level: 'warning', text: /^the state cannot be written to .*: ELOOP/ }],
  });
  for (const write of [
    () => state.saveDefaults([]),
    () => state.saveLink(linkOf(7)),
    () => state.removeLink(linkOf(9)),
  ])
    t.throws(write, { name: 'StateError', message: /^the state cannot be written to .*: ELOOP/ });
  t.equal(JSON.parse(readFileSync(pathOf('state.json'), 'utf8')).schema, 1);
  rmSync(pathOf('links'));
  state.removeLink(linkOf(9));
  t.same(filesIn(directory), ['links/7.json', 'state.json']);
  t.same(contentOf(new StateDirectory(directory).load(boot)), {
    savedDefaults: saved,
    links: links.slice(0, 1),
  });
});

t.test('what cannot be written or removed is said, and the file is as it was', async t => {
  const { directory, state, pathOf } = written(t);
  const route = `default dev ${'x'.repeat(64 << 20)}`;
  t.throws(() => state.saveDefaults([{ family: 'inet', route }]), {
    name: 'StateError',
    message: /^the state cannot be written to .*state\.json: too long: /,
  });
  t.throws(() => state.saveLink(linkOf(7, { linkname: 'x'.repeat(1 << 20) })), { name: 'StateError' });
  t.same(contentOf(new StateDirectory(directory).load(boot)), whole);
  t.same(filesIn(directory), names, 'no temporary file is left');
  rmSync(pathOf('links'), { recursive: true });
  run('ln', '-s', 'links')(pathOf('links'));
  for (const write of [() => state.saveLink(lost), () => state.removeLink(lost)])
    t.throws(write, {
      name: 'StateError',
      message: /^the state cannot be written to .*8\.lost\.3\.json: ELOOP/,
    });
});

t.test(
  'a directory, link, fifo or left-over in the place of a file to be written',
  { timeout: 20_000 },
  async t => {
    const obstacles: Put[] = [
      run('mkdir'),
      path => mkdirSync(join(path, 'full'), { recursive: true }),
      run('mkfifo'),
      run('ln', '-s', '/nonexistent/x'),
      run('touch'),
    ];
    for (const put of obstacles)
      for (const name of [...names, ...names.map(one => one.replace(/[^/]*$/, `.$&.${process.pid}`))]) {
        const { directory, state, pathOf } = written(t);
        rmSync(pathOf(name), { force: true });
        mkdirSync(`${pathOf(name)}.rejected/full`, { recursive: true });
        put(pathOf(name));
        state.saveDefaults(saved);
        state.saveLink(linkOf(7));
        state.saveLink(lost);
        t.same(
          new StateDirectory(directory).load(boot),
          { ...whole, notices: [], unreadable: [] },
          `${put} ${name}`,
        );
        t.same(
          filesIn(directory).filter(one => !one.includes('.rejected')),
          names,
        );
        rmSync(directory, { recursive: true });
      }
  },
);

t.test('what a killed daemon was about to write is removed', async t => {
  const { directory, state, pathOf } = written(t);
  for (const name of ['.state.json.1', 'links/.7.json.1', 'links/.8.lost.3.json.99'])
    writeFileSync(pathOf(name), '{');
  t.same(state.load(boot), { ...whole, notices: [], unreadable: [] });
  t.same(filesIn(directory), names);
});

t.test('half of a file can be written: the old one stays', async t => {
  const { directory, state } = written(t);
  const carryOn = () => undefined;
  process.on('SIGXFSZ', carryOn);
  t.teardown(() => process.off('SIGXFSZ', carryOn));
  const limit = (most: string) => execFileSync('prlimit', ['--pid', `${process.pid}`, `--fsize=${most}:`]);
  limit('50');
  const messages = [() => state.saveDefaults([]), () => state.saveLink(lost)].map(messageOf);
  limit('unlimited');
  for (const message of messages) t.match(message, /^the state cannot be written to .*: EFBIG/);
  t.same(filesIn(directory), names, 'no temporary file is left');
  t.same(new StateDirectory(directory).load(boot), { ...whole, notices: [], unreadable: [] });
});

function messageOf(write: () => void): string {
  try {
    write();
    return 'written';
  } catch (error) {
    return error instanceof Error ? error.message : '';
  }
}

t.test('a file that is too long takes no memory', async t => {
  const { state, pathOf } = written(t);
  const before = process.resourceUsage().maxRSS;
  truncateSync(pathOf('state.json'), 8e9);
  t.same(contentOf(state.load(boot)), rest['state.json']);
  t.ok(process.resourceUsage().maxRSS - before < 100_000, 'kilobytes');
});
