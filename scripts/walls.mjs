// `npm run check` runs this: who imports whom. Every arrow points down; docs/architecture.md says why.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const src = fileURLToPath(new URL('../src', import.meta.url));
const core = ['core/route', 'core/link', 'core/decide', 'core/tell'];

/** What each room may import beside itself: rooms, or single files. Files directly in src wire the rooms and may import all. */
const allowed = {
  ...Object.fromEntries(core.map((room, i) => [room, core.slice(0, i)])),
  systemd: [],
  configuration: core,
  control: core,
  daemon: core,
  intake: core,
  kernel: [...core, 'daemon/rooms.ts'],
  names: core,
  state: core,
  cli: [...core, 'control', 'daemon'],
};
const mostLines = 250;

const faults = filesIn(src).flatMap(path => [...wrongImports(path), ...tooLong(path)]);
for (const fault of faults) console.error(fault);
process.exit(faults.length === 0 ? 0 : 1);

function wrongImports(path) {
  const room = roomOf(path);
  if (room === undefined) return [];
  const may = allowed[room];
  if (may === undefined) return [`src/${path}: scripts/walls.mjs does not know the room ${room}`];
  return importsOf(path)
    .filter(target => roomOf(target) !== room)
    .filter(target => !may.includes(target) && !may.includes(roomOf(target)))
    .map(target => `src/${path} imports src/${target}: ${room} may import ${may.join(', ') || 'nothing'}`);
}

function tooLong(path) {
  const lines = readFileSync(join(src, path), 'utf8').split('\n').length - 1;
  return lines > mostLines ? [`src/${path} has ${lines} lines, more than ${mostLines}`] : [];
}

/** `core/link` of core/link/event.ts, `daemon` of daemon/loop.ts; undefined for a file directly in src. */
function roomOf(path) {
  const parts = path.split(sep);
  if (parts.length === 1) return undefined;
  return parts[0] === 'core' ? `core/${parts[1]}` : parts[0];
}

function importsOf(path) {
  const text = readFileSync(join(src, path), 'utf8');
  const specifiers = [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map(found => found[1]);
  return specifiers.map(specifier => relative(src, resolve(src, dirname(path), specifier)));
}

function filesIn(directory) {
  return readdirSync(directory, { withFileTypes: true }).flatMap(entry => {
    const path = join(directory, entry.name);
    return entry.isDirectory() ? filesIn(path) : path.endsWith('.ts') ? [relative(src, path)] : [];
  });
}
