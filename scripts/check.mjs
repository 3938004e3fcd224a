// `npm run check`: everything that can be said about the code without running it. CI runs the same.
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeReady } from './machine.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
makeReady();

const checks = [
  ['format and lint', 'node_modules/.bin/biome', ['ci', '--colors=off', '--error-on-warnings', '.']],
  ['types', 'node_modules/.bin/tsc', []],
  ['types of Node 18', 'node_modules/.bin/tsc', ['-p', 'src']],
  ['dead code', 'node_modules/.bin/knip', []],
  ['walls', process.execPath, ['scripts/walls.mjs']],
  ['shell', 'shellcheck', ['-x', ...shellFiles()]],
];
let failed = 0;
for (const [name, program, args] of checks) {
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit' });
  const good = status === 0;
  console.log(`${good ? 'ok  ' : 'FAIL'} ${name}${error ? `: ${error.message}` : ''}`);
  if (!good) failed++;
}
process.exit(failed === 0 ? 0 : 1);

/** Tracked files that begin like a shell script. */
function shellFiles() {
  const tracked = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  return tracked
    .split('\0')
    .filter(path => path !== '' && /^#! ?(\/usr)?\/bin\/(env )?(sh|bash|dash)\b/.test(firstBytes(path)));
}

function firstBytes(path) {
  try {
    const file = openSync(join(root, path), 'r');
    const bytes = Buffer.alloc(64);
    const length = readSync(file, bytes);
    closeSync(file);
    return bytes.toString('latin1', 0, length);
  } catch {
    return '';
  }
}
