// What bootstrap.mjs says where it cannot do its work: a sentence, and no stack trace.
import { createHash } from 'node:crypto';
import { chmod, cp, mkdir, mkdtemp, readFile, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import t, { type Test } from 'tap';

const project = join(import.meta.dirname, '../..');
/** One that no user database has: of a container, or of another machine. */
const stranger = process.getuid?.() === 0 ? { uid: 54321, gid: 54321 } : {};

interface Caller {
  uid?: number;
  gid?: number;
  PATH?: string;
}

t.test('dist/ is of another user, as after `sudo npm test`', async t => {
  const checkout = await makeCheckout(t);
  await chmod(join(checkout, 'dist'), 0o555);
  const { exitCode, stderr } = await bootstrap(checkout, stranger);
  t.equal(exitCode, 1);
  t.match(stderr, /^\S+ is not yours to write; make it so: sudo chown -R \S+ \S+, or run this as root$/);
});

t.test('a build that fails', async t => {
  const checkout = await makeCheckout(t);
  await writeFile(join(checkout, 'scripts/build.mjs'), 'console.error("no"); process.exit(1);\n');
  const { exitCode, stderr } = await bootstrap(checkout);
  t.same(
    { exitCode, stderr },
    { exitCode: 1, stderr: 'building dist/ …\nno\ndist/ could not be built (see above)' },
  );
});

t.test('no npm', async t => {
  const checkout = await makeCheckout(t);
  await writeFile(join(checkout, 'package-lock.json'), '{ "changed": true }');
  const { exitCode, stderr } = await bootstrap(checkout, { PATH: '/nowhere' });
  t.equal(exitCode, 1);
  t.match(
    stderr,
    /\nthe dependencies could not be installed: npm is missing; on Debian: apt-get install npm$/,
  );
});

/** A checkout that has its dependencies, and whose dist/ is older than src/. */
async function makeCheckout(t: Test): Promise<string> {
  const checkout = await mkdtemp(join(tmpdir(), 'ppp-routed-bootstrap-'));
  t.teardown(() => execa('rm', ['-rf', checkout]));
  await chmod(checkout, 0o755);
  for (const name of ['scripts', 'src', 'dist', 'node_modules']) await mkdir(join(checkout, name));
  for (const name of ['package.json', 'package-lock.json', 'scripts/bootstrap.mjs'])
    await cp(join(project, name), join(checkout, name));
  const lock = createHash('sha256').update(await readFile(join(checkout, 'package-lock.json')));
  await writeFile(join(checkout, 'node_modules/.ppp-routed-lock'), lock.digest('hex'));
  const program = join(checkout, 'dist/ppp-routectl.js');
  await writeFile(program, '');
  await utimes(program, 0, 0);
  await execa('chmod', ['-R', 'go+rX', checkout]);
  return checkout;
}

// In an empty environment: tap's own would have every child report to it, which another user cannot.
function bootstrap(checkout: string, { PATH = '/usr/bin:/bin', ...user }: Caller = {}) {
  const script = join(checkout, 'scripts/bootstrap.mjs');
  return execa('env', ['-i', `PATH=${PATH}`, process.execPath, script], { ...user, cwd: '/', reject: false });
}
