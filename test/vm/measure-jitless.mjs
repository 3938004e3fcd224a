// `node test/vm/measure-jitless.mjs [LINKS]`: what the daemon costs with and without a just-in-time compiler, side by side.
// MemoryDenyWriteExecute=yes is only to be had with `node --jitless`; docs/architecture.md says what follows from the
// figures. In a network namespace of its own; needs `npm run build` and no other rights than to make one.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const many = Number(process.argv[2] ?? 500);
const self = fileURLToPath(import.meta.url);
if (process.env.INSIDE === undefined) {
  const own = process.getuid() === 0 ? ['-n'] : ['-Urn'];
  execFileSync('unshare', [...own, process.execPath, self, String(many)], {
    stdio: 'inherit',
    env: { ...process.env, INSIDE: 'yes' },
  });
  process.exit();
}

const daemon = fileURLToPath(new URL('../../dist/ppp-routed.js', import.meta.url));
const ip = (...args) => execFileSync('ip', args);
ip('link', 'set', 'lo', 'up');
ip('link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'up1');
ip('link', 'set', 'up1', 'up');
ip('addr', 'add', '192.0.2.2/24', 'dev', 'up0');
ip('link', 'set', 'up0', 'up');
ip('route', 'add', 'default', 'via', '192.0.2.1', 'dev', 'up0', 'metric', '100');

const choices = [
  { name: 'compiled', flags: [] },
  { name: 'jitless', flags: ['--jitless', '--no-expose-wasm'] },
];
const rows = [];
for (const { name, flags } of choices) {
  addLink(0);
  const starts = [];
  for (let i = 0; i < 5; i++) {
    const { ready, stop } = await start(flags);
    starts.push(ready);
    await stop();
  }
  const { ask, resident, stop } = await start(flags);
  const few = await times(400, i => ask(event(i % 2 ? 'ip-down' : 'ip-up', 0)));
  const idle = resident();
  for (let n = 1; n <= many; n++) addLink(n);
  for (let n = 1; n <= many; n++) await ask(event('ip-up', n));
  const full = await times(40, i => ask(event(i % 2 ? 'ip-down' : 'ip-up', 0)));
  const loaded = resident();
  await stop();
  for (let n = 0; n <= many; n++) ip('link', 'del', `ppp${n}`);
  rows.push({
    name,
    'ready ms': middle(starts),
    'event p50 ms': middle(few),
    'event p99 ms': at(few, 0.99),
    'MB': idle,
    [`event p50 ms, ${many} links`]: middle(full),
    [`p99 ms, ${many} links`]: at(full, 0.99),
    [`MB, ${many} links`]: loaded,
  });
}
console.table(Object.fromEntries(rows.map(({ name, ...row }) => [name, row])));

function addLink(n) {
  ip('link', 'add', `ppp${n}`, 'type', 'veth', 'peer', 'name', `far${n}`);
  ip('link', 'set', `far${n}`, 'up');
  ip('link', 'set', `ppp${n}`, 'up');
  ip('addr', 'add', `10.${64 + (n >> 8)}.${n & 255}.2`, 'peer', `10.${64 + (n >> 8)}.${n & 255}.1`, 'dev', `ppp${n}`);
}

function event(name, n) {
  const near = `10.${64 + (n >> 8)}.${n & 255}`;
  const ipparam = n === 0 ? 'work' : 'site';
  return `version=1\nevent=${name}\ninterface=ppp${n}\nlocal=${near}.2\nremote=${near}.1\nipparam=${ipparam}\n\n`;
}

/** A daemon in fresh directories; `ready`: milliseconds from exec to its word that it is. */
async function start(flags) {
  const place = mkdtempSync(join(tmpdir(), 'ppp-routed-measure-'));
  for (const name of ['configuration', 'run', 'state']) mkdirSync(join(place, name));
  writeFileSync(
    join(place, 'configuration/ppp-routed.toml'),
    '[link.work]\ndefault-route = "replace"\nserver = "203.0.113.5"\n[link.site]\nserver = "none"\n',
  );
  const began = performance.now();
  const child = spawn(process.execPath, [...flags, daemon], {
    env: {
      ...process.env,
      CONFIGURATION_DIRECTORY: join(place, 'configuration'),
      RUNTIME_DIRECTORY: join(place, 'run'),
      STATE_DIRECTORY: join(place, 'state'),
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise(resolve => {
    child.stdout.on('data', bytes => bytes.includes('ready: ') && resolve());
  });
  return {
    ready: performance.now() - began,
    ask: text => exchange(join(place, 'run/hook.sock'), text),
    resident: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]) / 1024,
    stop: () =>
      new Promise(resolve => {
        child.on('close', () => {
          rmSync(place, { recursive: true });
          resolve();
        });
        child.kill('SIGTERM');
      }),
  };
}

function exchange(path, text) {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.end(text));
    let reply = '';
    socket.on('data', bytes => {
      reply += bytes;
    });
    socket.on('error', reject);
    socket.on('close', () => (reply.startsWith('ok ') ? resolve() : reject(new Error(reply || 'no reply'))));
  });
}

async function times(count, work) {
  const taken = [];
  for (let i = 0; i < count; i++) {
    const began = performance.now();
    await work(i);
    taken.push(performance.now() - began);
  }
  // The first ones run code that has not run before.
  return taken.slice(count / 10);
}

function at(taken, share) {
  const sorted = [...taken].sort((a, b) => a - b);
  return Number(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))].toFixed(1));
}

function middle(taken) {
  return at(taken, 0.5);
}
