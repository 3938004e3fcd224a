// setup and unsetup in a staging directory, on the /etc/ppp of several distributions. What they do on a running system
// is in test/vm/systemd.test.ts.
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import t, { type Test } from 'tap';

const project = join(import.meta.dirname, '../..');
const line = (action: string) =>
  `/usr/lib/ppp-routed/hooks/${action} "$@" # ppp-routed put this line here; its unsetup takes it away`;

type Tree = Record<string, string>;

const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};

await t.test('hooks go where this pppd looks', async t => {
  const loop = (glob: string) => `#!/bin/sh\nfor f in ${glob}; do\n  [ -x "$f" ] && "$f" "$@"\ndone\n`;
  const cases: { on: string; before: Tree; options?: string[]; expected: Tree; warning?: RegExp }[] = [
    {
      on: 'Debian: run-parts takes no name with a dot',
      before: { 'etc/ppp/ip-up': '#!/bin/sh\n# see ip-up.d/*.sh\nrun-parts /etc/ppp/ip-up.d --arg="$1"\n' },
      expected: { 'etc/ppp/ip-up.d/00-00-ppp-routed': '-> /usr/lib/ppp-routed/hooks/ip-up' },
    },
    {
      on: 'Debian with an ip-up.local that runs instead',
      before: {
        'etc/ppp/ip-up':
          '#!/bin/sh\n[ -x /etc/ppp/ip-up.local ] && exec /etc/ppp/ip-up.local\nrun-parts /etc/ppp/ip-up.d\n',
        'etc/ppp/ip-up.local': '#!/bin/sh\n',
      },
      expected: { 'etc/ppp/ip-up.d/00-00-ppp-routed': '-> /usr/lib/ppp-routed/hooks/ip-up' },
      warning: /ip-up\.local is executable.*put this line into it: \/usr\/lib\/ppp-routed\/hooks\/ip-up/,
    },
    {
      on: 'Arch, Void: only *.sh',
      before: { 'etc/ppp/ip-up': loop('/etc/ppp/ip-up.d/*.sh') },
      expected: { 'etc/ppp/ip-up.d/00-00-ppp-routed.sh': '-> /usr/lib/ppp-routed/hooks/ip-up' },
    },
    {
      on: 'openSUSE: any name, the directory in a variable, and ip-up.local after it',
      before: { 'etc/ppp/ip-up': `${loop('/etc/ppp/$' + '{0##*/}.d/*')}/etc/ppp/ip-up.local\n` },
      expected: { 'etc/ppp/ip-up.d/00-00-ppp-routed': '-> /usr/lib/ppp-routed/hooks/ip-up' },
    },
    {
      on: 'Fedora: no directory, no ip-up.local yet',
      before: { 'etc/ppp/ip-up': '#!/bin/bash\n[ -x /etc/ppp/ip-up.local ] && /etc/ppp/ip-up.local "$@"\n' },
      expected: { 'etc/ppp/ip-up.local': `#!/bin/sh\n${line('ip-up')}\n` },
    },
    {
      on: "Fedora: the administrator's ip-up.local",
      before: {
        'etc/ppp/ip-up': '#!/bin/bash\n[ -x /etc/ppp/ip-up.local ] && /etc/ppp/ip-up.local "$@"\n',
        'etc/ppp/ip-up.local': '#!/bin/bash\nlogger up\nexit 0\n',
      },
      expected: { 'etc/ppp/ip-up.local': `#!/bin/bash\n${line('ip-up')}\nlogger up\nexit 0\n` },
    },
    {
      on: 'a script that runs nothing else',
      before: { 'etc/ppp/ip-up': '#!/bin/sh\nlogger up\n' },
      expected: { 'etc/ppp/ip-up': `#!/bin/sh\n${line('ip-up')}\nlogger up\n` },
    },
    {
      on: 'no script at all',
      before: { 'etc/os-release': 'ID=alpine\n' },
      expected: { 'etc/ppp/ip-up': '-> /usr/lib/ppp-routed/hooks/ip-up' },
    },
    {
      on: 'no script yet, on a derivative of Debian',
      before: { 'etc/os-release': 'ID=mint\nID_LIKE="ubuntu debian"\n' },
      expected: { 'etc/ppp/ip-up.d/00-00-ppp-routed': '-> /usr/lib/ppp-routed/hooks/ip-up' },
    },
    {
      on: 'an empty directory, for a package of Debian',
      before: {},
      options: ['--distribution', 'debian'],
      expected: { 'etc/ppp/ip-up.d/00-00-ppp-routed': '-> /usr/lib/ppp-routed/hooks/ip-up' },
    },
    {
      on: 'an empty directory, for a package of Arch',
      before: {},
      options: ['--distribution=arch'],
      expected: { 'etc/ppp/ip-up.d/00-00-ppp-routed.sh': '-> /usr/lib/ppp-routed/hooks/ip-up' },
    },
    {
      on: 'another distribution than the one that it is laid out on, whose scripts say more',
      before: { 'etc/os-release': 'ID=debian\n', 'etc/ppp/ip-up': loop('/etc/ppp/ip-up.d/*.sh') },
      options: ['--distribution=fedora'],
      expected: {
        'etc/ppp/ip-up.d/00-00-ppp-routed.sh': '-> /usr/lib/ppp-routed/hooks/ip-up',
        'etc/ppp/ip-down.local': `#!/bin/sh\n${line('ip-down')}\n`,
      },
    },
    {
      on: 'Debian, pppd without its scripts',
      before: { 'etc/os-release': 'ID=debian\n', 'usr/sbin/pppd': '#!/bin/sh\n' },
      expected: { 'etc/ppp/ip-up.d/00-00-ppp-routed': '-> /usr/lib/ppp-routed/hooks/ip-up' },
      warning:
        /^setup: warning: \/etc\/ppp\/ip-up, .*\/etc\/ppp\/ipv6-down are missing, so pppd runs no hook: links will not be seen\. Install pppd's own scripts .*again, then run setup again$/,
    },
    {
      on: 'Debian with an ip-up.local that calls our hook',
      before: {
        'etc/ppp/ip-up':
          '#!/bin/sh\n[ -x /etc/ppp/ip-up.local ] && exec /etc/ppp/ip-up.local\nrun-parts /etc/ppp/ip-up.d\n',
        'etc/ppp/ip-up.local': '#!/bin/sh\n/usr/lib/ppp-routed/hooks/ip-up "$@"\n',
      },
      expected: { 'etc/ppp/ip-up.d/00-00-ppp-routed': '-> /usr/lib/ppp-routed/hooks/ip-up' },
    },
  ];
  for (const { on, before, options = [], expected, warning } of cases) {
    await t.test(on, async t => {
      const { root, setup, unsetup } = await makeSystem(t, before);
      const { stderr } = await setup(...options);
      t.match(stderr, warning ?? /^$/);
      const installed = await readTree(root);
      t.match(installed, expected);

      const again = await setup(...options);
      t.equal(again.stdout, '', 'a second time has nothing to do');
      t.same(await readTree(root), installed);

      await unsetup();
      t.same(await readTree(root), withDirectories(before), 'unsetup leaves what was there before');
    });
  }
});

await t.test('the reporter comes before the hooks, which are silent without it', async t => {
  const { root, copy, setup } = await makeSystem(t, {});
  const { stdout } = await setup();
  const lines = stdout.split('\n');
  const at = (path: string) => lines.indexOf(`adding /usr/lib/ppp-routed/${path}`);
  for (const name of ['report', 'exchange', 'spool', 'transport']) {
    const installed = join(root, 'usr/lib/ppp-routed', name);
    t.equal(await readFile(installed, 'utf8'), await readFile(join(copy, 'hooks', name), 'utf8'));
    t.equal((await lstat(installed)).mode & 0o777, 0o644);
    t.ok(at(name) >= 0 && at(name) < at('hooks/ip-down'), name);
  }
  t.equal((await lstat(join(root, 'usr/lib/ppp-routed/hooks/ip-up'))).mode & 0o777, 0o755);
});

await t.test("an administrator's directories and configuration stay", async t => {
  const { root, setup, unsetup } = await makeSystem(t, { 'etc/ppp-routed/ppp-routed.toml': '[link.mine]\n' });
  await mkdir(join(root, 'etc/ppp/ip-up.d'), { recursive: true });
  await setup();
  t.match(await readTree(root), { 'etc/ppp-routed/ppp-routed.toml': '[link.mine]\n' });
  await unsetup();
  t.match(await readTree(root), { 'etc/ppp/ip-up.d': 'directory' }, 'an empty directory that was there');
  t.notOk('etc/ppp-routed' in (await readTree(root)), 'the configuration goes with the program');
});

await t.test('an upgrade takes names that are not used any more away', async t => {
  const { root, setup } = await makeSystem(t, { 'etc/ppp/ip-up': '#!/bin/sh\nrun-parts /etc/ppp/ip-up.d\n' });
  await setup();
  await writeFile(
    join(root, 'etc/ppp/ip-up'),
    '#!/bin/sh\nfor f in /etc/ppp/ip-up.d/*.sh; do "$f" "$@"; done\n',
  );
  await setup();
  t.same(await readdir(join(root, 'etc/ppp/ip-up.d')), ['00-00-ppp-routed.sh']);
});

await t.test('what goes wrong is named, with the reason and a way out', async t => {
  await t.test('something in the way', async t => {
    const { setup } = await makeSystem(t, { 'usr/lib/ppp-routed': 'a file' });
    const { exitCode, stderr } = await setup();
    t.equal(exitCode, 1);
    t.match(
      stderr,
      /^setup: cannot write \/usr\/lib\/ppp-routed\/ppp-routed\.js: ENOTDIR.*\n {2}Something that is no/,
    );
  });

  await t.test('an ip-up.local that is no shell script', async t => {
    const { setup } = await makeSystem(t, {
      'etc/ppp/ip-up': '#!/bin/sh\n/etc/ppp/ip-up.local "$@"\n',
      'etc/ppp/ip-up.local': '#!/usr/bin/perl\n',
    });
    const { exitCode, stderr } = await setup();
    t.equal(exitCode, 1);
    t.match(
      stderr,
      /^setup: cannot add a line to \/etc\/ppp\/ip-up\.local: it is no shell script.*\n {2}Make it run/,
    );
  });

  await t.test('not built', async t => {
    const { root, setup, copy } = await makeSystem(t, {});
    await execa('rm', ['-r', join(copy, 'dist')]);
    const { exitCode, stderr } = await setup();
    t.equal(exitCode, 1);
    t.match(stderr, /dist\/ppp-routed\.js is missing\n {2}Run `npm run build`/);
    t.same(await readTree(root), {}, 'nothing is done by halves');
  });

  await t.test('an unknown option', async t => {
    const { setup } = await makeSystem(t, {});
    const { exitCode, stderr } = await setup('--rot');
    t.equal(exitCode, 1);
    t.match(stderr, /--rot[\s\S]*Usage: npm run setup/);
  });

  await t.test('a distribution that is not known', async t => {
    const { root, setup } = await makeSystem(t, {});
    const { exitCode, stderr } = await setup('--distribution', 'debain');
    t.equal(exitCode, 1);
    t.match(
      stderr,
      /^setup: cannot lay out the hooks: debain is not known\n {2}Name one of arch, .*debian, /,
    );
    t.same(await readTree(root), {}, 'nothing is done by halves');
  });

  await t.test('no ip', async t => {
    const { root } = await makeSystem(t, { 'usr/bin/perl': '' });
    const requirements = join(project, 'scripts/install/requirements.mjs');
    const script = `import(${JSON.stringify(requirements)}).then(all => all.requireIp(${JSON.stringify(root)}))`;
    t.match(
      (await runNode(['-e', script])).stderr,
      /ip is missing.*\n {2}Install iproute2 .*run setup again/,
    );
    await writeTree(root, { 'usr/sbin/ip': '#!/bin/sh\n' });
    t.match(await runNode(['-e', script]), { exitCode: 0, stderr: '' });
  });

  await t.test('the root directory of this machine, which this user may not change', async t => {
    const { copy } = await makeSystem(t, {});
    const { exitCode, stderr } = await runNode(
      [join(copy, 'scripts/setup.mjs'), '--no-build', '--root', '/'],
      nobody,
    );
    t.equal(exitCode, 1);
    t.match(
      stderr,
      /^setup: cannot (make directory|write) \/usr\/lib\/ppp-routed.*EACCES.*\n {2}Run it as root$/,
    );
  });

  await t.test('not root', async t => {
    const { copy } = await makeSystem(t, {});
    for (const program of ['setup', 'unsetup']) {
      const script = join(copy, `scripts/${program}.mjs`);
      const { exitCode, stderr } = await runNode([script], nobody);
      t.equal(exitCode, 1);
      t.equal(
        stderr,
        `${program}: cannot change this machine: you are not root\n  Run: sudo npm run ${program}`,
      );
    }
  });
});

/** A copy of the project with programs that do nothing, and a directory to stage it in. */
async function makeSystem(t: Test, files: Tree) {
  const place = await mkdtemp(join(tmpdir(), 'ppp-routed-setup-'));
  t.teardown(() => execa('rm', ['-rf', place]));
  await chmod(place, 0o755);
  const copy = join(place, 'project');
  const root = join(place, 'root');
  for (const part of ['hooks', 'systemd', 'scripts'])
    await cp(join(project, part), join(copy, part), { recursive: true });
  for (const name of ['ppp-routed.js', 'ppp-routectl.js', 'ppp-routed-resolve.js', 'package.json'])
    await writeTree(copy, { [`dist/${name}`]: '#!/usr/bin/env node\n' });
  await mkdir(root);
  await writeTree(root, files);
  const run = (program: string, args: string[]) =>
    runNode([join(copy, `scripts/${program}.mjs`), '--root', root, ...args]);
  return {
    copy,
    root,
    setup: (...args: string[]) => run('setup', ['--no-build', ...args]),
    unsetup: () => run('unsetup', []),
  };
}

// In an empty environment: tap's own would have every child report to it, which another user cannot.
function runNode(args: string[], user: { uid?: number; gid?: number } = {}) {
  return execa('env', ['-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', process.execPath, ...args], {
    ...user,
    cwd: '/',
    reject: false,
  });
}

async function writeTree(root: string, files: Tree): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(root, dirname(path)), { recursive: true });
    await writeFile(join(root, path), content, { mode: content.startsWith('#!') ? 0o755 : 0o644 });
  }
}

async function readTree(root: string): Promise<Tree> {
  const tree: Tree = {};
  for (const path of await readdir(root, { recursive: true })) {
    const found = await lstat(join(root, path));
    if (found.isSymbolicLink()) tree[path] = `-> ${await readlink(join(root, path))}`;
    else tree[path] = found.isDirectory() ? 'directory' : await readFile(join(root, path), 'utf8');
  }
  return tree;
}

function withDirectories(files: Tree): Tree {
  const tree: Tree = { ...files };
  for (const path of Object.keys(files))
    for (let above = dirname(path); above !== '.'; above = dirname(above)) tree[above] = 'directory';
  return tree;
}
