// `npm test`: sets up what the tests need and runs every tier, or the tiers that are named: `npm test -- netns pppd`.
// Plain Node until the dependencies are there.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const isRoot = process.getuid?.() === 0;
const nobody = 65534;

/** Directories under test/ of each tier. `needsRoot`: a container of systemd's cannot be started by others. */
const tiers = {
  pure: {
    paths: [
      ...['route', 'link', 'decide', 'tell'].map(room => `core/${room}`),
      ...['daemon', 'intake', 'names', 'state', 'configuration', 'systemd', 'scripts', 'boot-id.test.ts'],
    ],
    says: 'decisions, files and properties; no kernel',
    jobs: 2,
  },
  hooks: { paths: ['hooks'], says: 'the hooks on three shells, with every client' },
  netns: {
    paths: ['netns', 'kernel', 'cli', 'demo', 'readme'],
    says: 'the real kernel in private namespaces',
    // The model's long walk, for every seed.
    environment: { NETNS_STEPS: '1000' },
    timeout: 600,
  },
  'netns-user': {
    paths: ['netns', 'kernel', 'cli', 'readme'],
    as: nobody,
    says: 'the same as an ordinary user',
  },
  reliability: {
    paths: ['reliability'],
    says: 'killed at every step, damaged files, an ip that misbehaves: the short forms',
    // What must be right in time is measured alone.
    jobs: 1,
    timeout: 2400,
  },
  bench: { paths: ['bench'], timeout: 300, says: 'what an event costs, in ratios' },
  systemd: {
    paths: ['activation', 'systemd', 'sandbox', 'health', 'journal', 'operations', 'idle'].map(
      name => `vm/${name}.test.ts`,
    ),
    needsRoot: true,
    says: 'real systemd in a container',
    // Most of them wait most of the time.
    jobs: 4,
  },
  pppd: { paths: ['vm/pppd.test.ts'], needsRoot: true, says: 'real pppd in User-Mode Linux' },
};

const packages =
  'bash busybox dash iproute2 iputils-ping kmod mmdebstrap perl procps shellcheck socat strace systemd-container user-mode-linux util-linux'.split(
    ' ',
  );

const named = process.argv.slice(2);
const unknown = named.filter(name => !(name in tiers));
if (unknown.length > 0) {
  console.error(`no tier ${unknown.join(', ')}; there are ${Object.keys(tiers).join(', ')}`);
  process.exit(2);
}

installPackages();
execFileSync(process.execPath, [join(root, 'scripts/bootstrap.mjs')], { stdio: 'inherit' });

const totals = { pass: 0, fail: 0, skip: 0 };
const rows = [];
for (const [name, tier] of Object.entries(tiers)) {
  if (named.length > 0 && !named.includes(name)) continue;
  const files = tier.paths.flatMap(path => testFiles(join('test', path)));
  const reason = reasonNotToRun(name, tier);
  if (files.length === 0 || reason !== undefined) {
    const why = reason ?? 'it has no test files';
    rows.push([name, 'NOT RUN', why]);
    // A tier that did not run is no success where every tier must run.
    if (process.env.CI || reason === undefined) totals.fail++;
    else totals.skip++;
    continue;
  }
  console.log(`\n== ${name}: ${tier.says}`);
  const started = performance.now();
  const counts = await runTap(files, tier);
  for (const key of Object.keys(totals)) totals[key] += counts[key];
  rows.push([
    name,
    counts.fail === 0 ? 'passed' : 'FAILED',
    `${counts.pass} passed, ${counts.fail} failed, ${counts.skip} skipped in ${((performance.now() - started) / 1000).toFixed(1)} s`,
  ]);
}

console.log();
for (const [name, result, text] of rows) console.log(`${name.padEnd(12)} ${result.padEnd(8)} ${text}`);
console.log(`\ntests: ${totals.pass} passed, ${totals.fail} failed, ${totals.skip} skipped`);
process.exit(totals.fail === 0 && totals.pass > 0 ? 0 : 1);

function testFiles(path) {
  const full = join(root, path);
  if (path.endsWith('.test.ts')) return existsSync(full) ? [path] : [];
  if (!existsSync(full)) return [];
  return readdirSync(full)
    .filter(name => name.endsWith('.test.ts'))
    .sort()
    .map(name => join(path, name));
}

function reasonNotToRun(name, tier) {
  if (tier.needsRoot && !isRoot) return `it needs root: sudo npm test -- ${name}`;
  if (tier.as !== undefined && !isRoot) return 'the whole run is as an ordinary user already';
  return undefined;
}

async function runTap(files, { as: uid, environment: settings, timeout = 120, jobs }) {
  const copy = uid === undefined ? undefined : copyFor(uid);
  const tap = [join(copy ?? root, 'node_modules/tap/dist/esm/run.mjs')];
  const command = existsSync(tap[0])
    ? [process.execPath, tap[0]]
    : [join(copy ?? root, 'node_modules/.bin/tap')];
  const identity =
    uid === undefined ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--'];
  const options = [
    '--reporter=tap',
    `--timeout=${timeout}`,
    ...(jobs === undefined ? [] : [`--jobs=${jobs}`]),
  ];
  const [program, ...args] = [...identity, ...command, ...options, ...files];
  const environment = {
    ...settings,
    ...process.env,
    ...(copy === undefined ? {} : { HOME: copy, TMPDIR: join(copy, 'tmp') }),
  };
  try {
    return await new Promise((resolve, reject) => {
      const child = spawn(program, args, {
        cwd: copy ?? root,
        env: environment,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let output = '';
      const show = showFiles();
      createInterface({ input: child.stdout }).on('line', line => {
        output += `${line}\n`;
        show(line);
      });
      child.on('error', reject);
      child.on('close', code => {
        const counts = countsIn(output);
        // A run that ended badly is a failure, whatever it counted.
        if (code !== 0 && counts.fail === 0) counts.fail = 1;
        resolve(counts);
      });
    });
  } finally {
    if (copy !== undefined) rmSync(copy, { recursive: true, force: true });
  }
}

/** A line for a file that passed, and its figures; for one that did not, everything that it said but its successes. */
function showFiles() {
  let said = [];
  return line => {
    if (/^\s*# figure: /.test(line)) console.log(line.trim());
    const file = /^(not )?ok \d+ - (.*)$/.exec(line);
    if (file === null) {
      if (!/^\s+(ok |# Subtest|1\.\.\d+$)/.test(line) && line.trim() !== '') said.push(line);
      return;
    }
    if (file[1] !== undefined) for (const earlier of said) console.log(earlier);
    console.log(line);
    said = [];
  };
}

/** The last `# { total: 12, pass: 11, fail: 1 }` of tap. */
function countsIn(output) {
  const counted = [...output.matchAll(/# \{ total: \d+[^}]*\}/g)].at(-1)?.[0] ?? '';
  const count = key => Number(new RegExp(`\\b${key}: (\\d+)`).exec(counted)?.[1] ?? 0);
  return { pass: count('pass'), fail: count('fail'), skip: count('skip') + count('todo') };
}

/** tap writes beside the tests, and the checkout may be in a directory that only root can enter: a copy of links. */
function copyFor(uid) {
  const copy = mkdtempSync(join(existsSync('/var/tmp') ? '/var/tmp' : tmpdir(), 'ppp-routed-test-'));
  const names = readdirSync(root).filter(name => !['.git', '.tap', 'build'].includes(name));
  const linked = spawnSync('cp', ['-al', ...names.map(name => join(root, name)), copy]);
  if (linked.status !== 0) execFileSync('cp', ['-a', ...names.map(name => join(root, name)), copy]);
  execFileSync('mkdir', ['-p', join(copy, 'tmp')]);
  execFileSync('find', [copy, '-type', 'd', '-exec', 'chown', `${uid}:${uid}`, '{}', '+']);
  return copy;
}

function installPackages() {
  const missing = packages.filter(name => !isInstalled(name));
  if (missing.length === 0) return;
  const command = `apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  if (!isRoot || !existsSync('/usr/bin/apt-get')) {
    console.error(
      `the tests need packages that are not installed; on Debian: ${isRoot ? '' : 'sudo '}${command}`,
    );
    if (process.env.CI) process.exit(1);
    return;
  }
  console.log(`installing ${missing.join(' ')} …`);
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  execFileSync('apt-get', ['update', '-qq'], { stdio: 'inherit', env: environment });
  execFileSync('apt-get', command.split(' ').slice(1), {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: environment,
  });
}

function isInstalled(name) {
  const asked = spawnSync('dpkg', ['-s', name], { encoding: 'utf8' });
  if (asked.error) return true;
  return asked.stdout.includes('Status: install ok installed');
}
