// What this machine allows, and the programs that it has. Plain Node: it is asked before anything is installed.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packages } from './tiers.mjs';

export const isRoot = process.getuid?.() === 0;

/** Root needs no user namespace; in one, it could not enter the homes of others. */
export const isolate = [...(isRoot ? [] : ['--user', '--map-root-user']), '--net', '--mount'];

/** The dependencies and dist/; ends this program where they cannot be made, which bootstrap.mjs has said why. */
export function makeReady() {
  const bootstrap = fileURLToPath(new URL('bootstrap.mjs', import.meta.url));
  const { status } = spawnSync(process.execPath, [bootstrap], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

/** Why no network namespace can be made here; undefined if one can. */
export function obstacleToNamespaces() {
  const { status, stderr, error } = spawnSync('unshare', [...isolate, 'true'], { encoding: 'utf8' });
  if (status === 0) return undefined;
  if (error) return 'unshare is missing';
  return `no network namespaces for ${isRoot ? 'this root' : 'ordinary users'} (${stderr.trim()})`;
}

/** What User-Mode Linux needs here. */
export function programsOfGuest() {
  const cpu = existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : '';
  // See guest/xstate.c.
  return ['linux.uml', 'modprobe', ...(/\bamx_tile\b/.test(cpu) ? ['tcc'] : [])];
}

export function isMissing(program) {
  const directories = `${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`.split(delimiter);
  return !directories.some(directory => isExecutable(join(directory, program)));
}

/** Debian's packages with these programs, those that are missing. */
export function missingPackages(programs) {
  return [...new Set(programs.filter(isMissing).map(program => packages[program] ?? program))].sort();
}

/** Installs packages of Debian as root; says what to type where it may not. Whether they are there afterwards. */
export function installPackages(names) {
  if (names.length === 0) return true;
  const command = ['apt-get', 'install', '-y', '--no-install-recommends', ...names];
  if (!isRoot || isMissing('apt-get')) return false;
  console.log(`installing ${names.join(' ')} …`);
  const options = {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  };
  spawnSync('apt-get', ['update', '-qq'], options);
  return spawnSync(command[0], command.slice(1), options).status === 0;
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
