// Makes a checkout ready: the dependencies of package-lock.json, and dist/ built from src/. Does nothing that is done.
// Plain Node: it runs before anything is installed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const stamp = join(root, 'node_modules/.ppp-routed-lock');

const lock = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex');
if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lock) {
  needNode();
  needToWrite('.', 'node_modules');
  console.error('installing the dependencies of package-lock.json …');
  // The lock file has every package's hash, so a cached copy needs no question; a download that stalls is begun again.
  const options = [
    '--prefer-offline',
    '--fetch-timeout=60000',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ];
  make('the dependencies could not be installed', 'npm', ['ci', ...options]);
  writeFileSync(stamp, lock);
}

if (
  newest(join(root, 'src')) > oldest(join(root, 'dist')) ||
  newest(join(root, 'package.json')) > oldest(join(root, 'dist'))
) {
  needNode();
  needToWrite('.', 'dist');
  console.error('building dist/ …');
  make('dist/ could not be built', process.execPath, [join(root, 'scripts/build.mjs')]);
}

function make(failure, program, args) {
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status === 0) return;
  const isMissing = error?.code === 'ENOENT';
  console.error(
    isMissing
      ? `${failure}: ${program} is missing; on Debian: apt-get install ${program}`
      : `${failure} (${error?.message ?? 'see above'})`,
  );
  process.exit(1);
}

/** What is built runs on an older one. */
function needNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  console.error(
    `building ppp-routed needs Node.js 20.19 or later; this is ${process.versions.node}. On Debian 13: apt install nodejs npm`,
  );
  process.exit(1);
}

/** One sentence, not a stack trace, after `sudo npm test` or in a checkout of somebody else's. */
function needToWrite(...names) {
  const locked = names.map(name => join(root, name)).find(path => existsSync(path) && !isWritable(path));
  if (locked === undefined) return;
  console.error(
    `${locked} is not yours to write; make it so: sudo chown -R ${process.getuid?.()} ${root}, or run this as root`,
  );
  process.exit(1);
}

function isWritable(path) {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function newest(path) {
  const found = statSync(path);
  if (!found.isDirectory()) return found.mtimeMs;
  return Math.max(...readdirSync(path).map(name => newest(join(path, name))));
}

function oldest(directory) {
  if (!existsSync(join(directory, 'ppp-routectl.js'))) return 0;
  return Math.min(...readdirSync(directory).map(name => statSync(join(directory, name)).mtimeMs));
}
