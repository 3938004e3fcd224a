// What the demo shows: the tables before, while a link is up, and after.
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ip } from './ip.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const coloured = process.stdout.isTTY && !process.env.NO_COLOR;
const paint = (code, text) => (coloured ? `\u001b[${code}m${text}\u001b[0m` : text);

/** Plays it with this link; the exit status is 1 if the tables are not as they were. */
export async function show(link) {
  const { directories } = link;
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
    await until('the daemon is ready', () => lines.some(line => line.includes('ready')));
    await sleep(100);

    headline('The table before: the default route of the how-to, with its metric');
    const before = table();
    printTable();

    headline(link.says);
    await link.up(say);
    await until('the default route is on ppp0', () => /^default dev ppp0/m.test(ip('route')));
    await printJournal(lines);

    headline('The table while the link is up: everything goes through ppp0, the VPN server does not');
    printTable();

    headline('The state file: one line that a person could hand to `ip route add`');
    const state = JSON.parse(readFileSync(join(directories.STATE_DIRECTORY, 'state.json'), 'utf8'));
    for (const { route } of state.savedDefaults) console.log(`  savedDefaults: ${paint(33, route)}`);

    headline('The link goes down, and pppd calls the other hook');
    await link.down(say);
    const equal = await until('the table is as before', () => table() === before).then(
      () => true,
      () => false,
    );
    await printJournal(lines);

    headline('The table after');
    printTable();
    const verdict = 'equal: `ip -d route show table all` is byte for byte what it was';
    console.log(`\n${equal ? paint('1;32', verdict) : paint('1;31', 'NOT EQUAL')}`);
    if (!equal) console.log(`--- before\n${before}--- after\n${table()}`);
    process.exitCode = equal ? 0 : 1;
  } finally {
    daemon?.kill('SIGTERM');
    link.close();
  }
}

/** A laptop on its wireless network. */
function makeMachine() {
  // The interfaces of /sys/class/net are those of the namespace that mounted it.
  spawnSync('mount', ['-t', 'sysfs', 'sysfs', '/sys']);
  ip('link set lo up');
  ip('link add wlp2s0 type veth peer name router');
  // Without link-local addresses: the kernel would go on adding them while the tables are compared.
  for (const name of ['wlp2s0', 'router']) ip(`link set ${name} addrgenmode none`);
  ip('link set router up');
  ip('link set wlp2s0 up');
  ip('address add 192.168.1.100/24 dev wlp2s0');
  ip('route add default via 192.168.1.1 dev wlp2s0 metric 302');
}

function say(command) {
  console.log(paint(2, `  $ ${command}`));
}

function table() {
  return ip('-d route show table all');
}

function printTable() {
  for (const line of ip('route').trimEnd().split('\n')) {
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

async function until(what, condition) {
  // Ten times as slow in User-Mode Linux.
  for (let tries = 0; tries < 800; tries++) {
    if (condition()) return;
    await sleep(25);
  }
  throw new Error(`not within 20 s: ${what}`);
}
