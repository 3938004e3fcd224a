// `npm run demo`: the main job, in a network namespace of its own. The machine's routes are not touched.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const coloured = process.stdout.isTTY && !process.env.NO_COLOR;
const paint = (code, text) => (coloured ? `\u001b[${code}m${text}\u001b[0m` : text);

if (process.argv[2] === '--inside') await show();
else enter();

function enter() {
  const missing = ['ip', 'unshare', 'stdbuf'].filter(
    program => spawnSync(program, ['--version']).error && spawnSync(program, ['-V']).error,
  );
  if (missing.length > 0) {
    console.error(
      `the demo needs ${missing.join(', ')}; on Debian: sudo apt-get install iproute2 util-linux coreutils`,
    );
    process.exit(1);
  }
  execFileSync(process.execPath, [join(root, 'scripts/bootstrap.mjs')], { stdio: 'inherit' });
  const isolate = ['--user', '--map-root-user', '--net', '--mount'];
  const allowed = spawnSync('unshare', [...isolate, 'true'], { encoding: 'utf8' });
  if (allowed.status !== 0 && process.getuid?.() !== 0) {
    console.error(
      `this kernel does not let ordinary users make a network namespace (${allowed.stderr.trim()}).`,
    );
    console.error(
      "Run it as root instead; it does not touch the machine's routes then either:\n\n    sudo npm run demo",
    );
    process.exit(1);
  }
  const namespaces = allowed.status === 0 ? isolate : ['--net', '--mount'];
  const { status } = spawnSync(
    'unshare',
    [...namespaces, process.execPath, fileURLToPath(import.meta.url), '--inside'],
    { stdio: 'inherit' },
  );
  process.exit(status ?? 1);
}

async function show() {
  const directory = mkdtempSync(join(tmpdir(), 'ppp-routed-demo-'));
  const directories = {
    RUNTIME_DIRECTORY: join(directory, 'run'),
    STATE_DIRECTORY: join(directory, 'state'),
    CONFIGURATION_DIRECTORY: join(directory, 'etc'),
  };
  for (const path of Object.values(directories)) mkdirSync(path);
  // The interfaces of /sys/class/net are those of the namespace that mounted it.
  spawnSync('mount', ['-t', 'sysfs', 'sysfs', '/sys']);
  let daemon;
  try {
    makeMachine();
    writeFileSync(
      join(directories.CONFIGURATION_DIRECTORY, 'ppp-routed.toml'),
      '[link.work]\ndefault-route = "replace"\nserver = "69.90.184.209"\n',
    );
    daemon = spawn(process.execPath, [join(root, 'dist/ppp-routed.js')], {
      env: { ...process.env, ...directories },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = journalOf(daemon);
    await until(() => lines.some(line => line.includes('ready')));
    await sleep(100);

    headline('The table before: the default route of the how-to, with its metric');
    const before = table();
    printTable();

    headline('pppd brings the link up, and calls the hook');
    // Not a tun device: /dev/net/tun may be root's alone.
    ip('link add ppp0 type veth peer name far-end');
    for (const name of ['ppp0', 'far-end']) ip(`link set ${name} addrgenmode none`);
    ip('link set far-end up');
    ip('address add 10.99.0.2 peer 10.99.0.1 dev ppp0');
    ip('link set ppp0 up');
    callHook('ip-up', directories);
    await printJournal(lines);

    headline('The table while the link is up: everything goes through ppp0, the VPN server does not');
    printTable();

    headline('The state file: one line that a person could hand to `ip route add`');
    const state = JSON.parse(readFileSync(join(directories.STATE_DIRECTORY, 'state.json'), 'utf8'));
    for (const { route } of state.savedDefaults) console.log(`  savedDefaults: ${paint(33, route)}`);

    headline('The link goes down, and pppd calls the other hook');
    callHook('ip-down', directories);
    ip('link del ppp0');
    await printJournal(lines);

    headline('The table after');
    printTable();
    await until(() => table() === before).catch(() => undefined);
    const equal = table() === before;
    console.log(
      `\n${equal ? paint('1;32', 'equal: `ip -d route show table all` is byte for byte what it was') : paint('1;31', 'NOT EQUAL')}`,
    );
    if (!equal) console.log(`--- before\n${before}--- after\n${table()}`);
    process.exitCode = equal ? 0 : 1;
  } finally {
    daemon?.kill('SIGTERM');
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A laptop on its wireless network. */
function makeMachine() {
  ip('link set lo up');
  ip('link add wlp2s0 type veth peer name router');
  // Without link-local addresses: the kernel would go on adding them while the tables are compared.
  for (const name of ['wlp2s0', 'router']) ip(`link set ${name} addrgenmode none`);
  ip('link set router up');
  ip('link set wlp2s0 up');
  ip('address add 192.168.1.100/24 dev wlp2s0');
  ip('route add default via 192.168.1.1 dev wlp2s0 metric 302');
}

function callHook(name, directories) {
  const args = ['ppp0', '', '0', '10.99.0.2', '10.99.0.1', 'work'];
  console.log(paint(2, `  $ ${name} ppp0 "" 0 10.99.0.2 10.99.0.1 work`));
  // pppd's environment is empty but for its own variables.
  execFileSync(join(root, 'hooks', name), args, {
    env: { RUNTIME_DIRECTORY: directories.RUNTIME_DIRECTORY, PPPD_PID: '4711' },
  });
}

function ip(command) {
  execFileSync('ip', command.split(' '));
}

function table() {
  return execFileSync('ip', ['-d', 'route', 'show', 'table', 'all'], { encoding: 'utf8' });
}

function printTable() {
  for (const line of execFileSync('ip', ['route'], { encoding: 'utf8' }).trimEnd().split('\n')) {
    console.log(
      `  ${line.startsWith('default') ? paint(line.includes('ppp0') ? '1;36' : '1;33', line) : line}`,
    );
  }
}

function journalOf(child) {
  const lines = [];
  let rest = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', chunk => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
  });
  return lines;
}

/** What the daemon has said since the last time. */
async function printJournal(lines) {
  await sleep(50);
  for (const line of lines.splice(0)) if (!line.includes('ready')) console.log(`  ${paint(32, line)}`);
}

function headline(text) {
  console.log(`\n${paint(1, text)}`);
}

async function until(condition) {
  for (let tries = 0; tries < 200; tries++) {
    if (condition()) return;
    await sleep(25);
  }
  throw new Error('the daemon did not get ready within 5 s');
}
