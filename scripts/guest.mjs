// Runs a command in a guest with a kernel of its own, User-Mode Linux, on the machine's own root directory: for machines
// that allow no network namespaces. `node scripts/guest.mjs COMMAND…` runs it in this directory with this environment.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('guest/', import.meta.url));
const memory = 1024;

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.exitCode = await runInGuest(process.argv.slice(2));

/** Runs the command and passes on what it prints. Its exit status; 1 if the guest itself failed. */
export async function runInGuest(argv) {
  const share = mkdtempSync(join(tmpdir(), 'ppp-routed-guest-'));
  try {
    writeFileSync(join(share, 'command'), shellScript(argv));
    const words = [
      ...[`mem=${memory}M`, 'rootfstype=hostfs', 'rootflags=/', 'ro'],
      ...[`init=${here}init`, `guest.share=${share}`, 'ssl0=null,fd:3'],
    ];
    const child = spawn(join(here, 'linux'), [share, ...words], {
      stdio: ['ignore', 'pipe', 'pipe', 1],
      env: { ...process.env, TMPDIR: memoryDirectory() },
      // A guest that hangs; what runs in it has a shorter time limit of its own.
      timeout: 900_000,
      killSignal: 'SIGKILL',
    });
    const console = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => console.push(chunk));
    await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
    const status = readStatus(share);
    if (status === undefined) process.stderr.write(Buffer.concat(console));
    return status ?? 1;
  } finally {
    rmSync(share, { recursive: true, force: true });
  }
}

function shellScript(argv) {
  // In there every output looks like a terminal's.
  const colours = process.stdout.isTTY ? {} : { NO_COLOR: '1' };
  const variables = Object.entries({ ...process.env, ...colours })
    .filter(([name]) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && name !== 'PATH')
    .map(([name, value]) => `export ${name}=${quote(value)}\n`);
  return `${variables.join('')}cd ${quote(process.cwd())} || exit\nexec ${argv.map(quote).join(' ')}\n`;
}

function quote(word) {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** Where the guest's memory is kept: a file, and containers have a small /dev/shm. */
function memoryDirectory() {
  try {
    const { bavail, bsize } = statfsSync('/dev/shm');
    if (bavail * bsize > memory * 2 ** 20) return '/dev/shm';
  } catch {}
  return tmpdir();
}

function readStatus(share) {
  try {
    return Number(readFileSync(join(share, 'status'), 'utf8'));
  } catch {
    return undefined;
  }
}
