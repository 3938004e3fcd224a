// Runs one file of tests by itself and counts what it says.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Messages of tests name lines of the TypeScript. */
export const nodeOptions = ['--enable-source-maps', '--import=./scripts/typescript/register.mjs'];

/**
 * `root`: the checkout. `prefix`: words before the command, such as those that change the user. `variables`: the test's form
 * and seed. Returns its counts, its seconds, and what there is to read: figures, and all but successes where it failed.
 */
export async function runFile(file, { root, prefix = [], variables, seconds = 120 }) {
  const directory = mkdtempSync(join(tmpdir(), 'ppp-routed-test-'));
  const started = performance.now();
  try {
    const { code, lines } = await runProcess(
      [...prefix, process.execPath, ...nodeOptions, join('test', file)],
      { cwd: root, env: { ...environmentOf(directory), ...variables, TAP_TIMEOUT: String(seconds) } },
    );
    const counts = countsIn(lines);
    // A file that ended badly, or without a word, is a failure, whatever it counted.
    if (counts.fail === 0 && (code !== 0 || counts.pass + counts.skip === 0)) counts.fail = 1;
    return { file, counts, seconds: (performance.now() - started) / 1000, report: reportOf(lines, counts) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A test that forgets to say where the daemon is finds nothing there, and never the machine's own. */
function environmentOf(directory) {
  const { NOTIFY_SOCKET, LISTEN_FDS, LISTEN_PID, WATCHDOG_USEC, ...others } = process.env;
  const directories = { RUNTIME_DIRECTORY: 'run', STATE_DIRECTORY: 'state', CONFIGURATION_DIRECTORY: 'etc' };
  for (const name of Object.values(directories)) mkdirSync(join(directory, name));
  const paths = Object.entries(directories).map(([variable, name]) => [variable, join(directory, name)]);
  return { ...others, ...Object.fromEntries(paths) };
}

/** Its exit status, and the lines of both its outputs. */
export function runProcess([program, ...args], options) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    const lines = [];
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on('line', line => lines.push(line));
    child.on('error', reject);
    child.on('close', code => resolve({ code, lines }));
  });
}

function reportOf(lines, { fail }) {
  if (fail === 0) return lines.filter(line => /^\s*# figure: /.test(line)).map(line => line.trim());
  return lines.filter(line => line.trim() !== '' && !/^\s*(ok |# Subtest|1\.\.\d+$)/.test(line));
}

/** The last `# { total: 12, pass: 11, fail: 1 }` of tap. */
function countsIn(lines) {
  const counted = lines.findLast(line => /^# \{ total: \d+/.test(line)) ?? '';
  const count = key => Number(new RegExp(`\\b${key}: (\\d+)`).exec(counted)?.[1] ?? 0);
  return { pass: count('pass'), fail: count('fail'), skip: count('skip') + count('todo') };
}
