// `node test/vm/measure-jitless.mjs [LINKS]`: what the daemon costs with and without a just-in-time compiler, side by side.
// MemoryDenyWriteExecute=yes is only to be had with `node --jitless`; docs/architecture.md says what follows from the
// figures. In a network namespace of its own; needs `npm run build` and no other rights than to make one.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const many = Number(process.argv[2] ?? 1000);
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
const rows = {};
addLinks(0, many);
for (const { name, flags } of choices) {
  const starts = [];
  for (let i = 0; i < 7; i++) {
    const { ready, cpu, stop } = await start(flags);
    starts.push({ wall: ready, cpu: cpu() });
    await stop();
  }
  const daemon = await start(flags);
  const pair = i => daemon.ask(event(i % 2 ? 'ip-down' : 'ip-up', 0));
  await times(daemon, 200, pair);
  const few = await times(daemon, 400, pair);
  const idle = daemon.resident();
  const filling = await times(daemon, many, n => daemon.ask(event('ip-up', n + 1)));
  const full = await times(daemon, 100, pair);
  rows[name] = {
    'ready, ms': middle(starts.map(({ wall }) => wall)),
    'on a processor': middle(starts.map(({ cpu }) => cpu)),
    'event p50, ms': few.p50,
    p99: few.p99,
    'processor ': few.cpu,
    MB: round(idle),
    [`p50, ${many} links`]: full.p50,
    'p99 ': full.p99,
    'processor  ': full.cpu,
    'while filling': filling.cpu,
    'MB ': round(daemon.resident()),
  };
  await daemon.stop();
  execFileSync('ip', ['route', 'flush', 'proto', '173']);
  // The uplink's default, where the last event displaced it.
  execFileSync('ip', ['route', 'replace', 'default', 'via', '192.0.2.1', 'dev', 'up0', 'metric', '100']);
}
console.log('milliseconds each; "processor": of the daemon, an event');
console.table(rows);

function addLinks(first, last) {
  const lines = [];
  for (let n = first; n <= last; n++)
    lines.push(
      `link add ppp${n} type veth peer name far${n}`,
      `link set far${n} up`,
      `link set ppp${n} up`,
      `addr add 10.${64 + (n >> 8)}.${n & 255}.2 peer 10.${64 + (n >> 8)}.${n & 255}.1 dev ppp${n}`,
    );
  execFileSync('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` });
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
    // Of every thread, in milliseconds: schedstat counts nanoseconds.
    cpu: () =>
      readdirSync(`/proc/${child.pid}/task`)
        .map(
          task =>
            Number(readFileSync(`/proc/${child.pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]) / 1e6,
        )
        .reduce((sum, one) => sum + one),
    resident: () =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]) / 1024,
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

async function times(daemon, count, work) {
  const taken = [];
  const before = daemon.cpu();
  for (let i = 0; i < count; i++) {
    const began = performance.now();
    await work(i);
    taken.push(performance.now() - began);
  }
  return { p50: middle(taken), p99: at(taken, 0.99), cpu: round((daemon.cpu() - before) / count) };
}

function at(taken, share) {
  const sorted = [...taken].sort((a, b) => a - b);
  return round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]);
}

function middle(taken) {
  return at(taken, 0.5);
}

function round(number) {
  return Number(number.toFixed(1));
}
