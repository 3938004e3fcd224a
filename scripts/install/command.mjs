import { spawnSync } from 'node:child_process';
import { Trouble } from './trouble.mjs';

/** Runs a command; what it printed is shown only when it fails. */
export function run(command, args, todo) {
  const { status, why } = attempt(command, args);
  if (status === 0) return;
  throw new Trouble({ what: `\`${[command, ...args].join(' ')}\` failed`, why, todo });
}

/** The same for a command that may fail. */
export function attempt(command, args) {
  const { status, signal, error, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (error) return { status: null, why: error.message, stdout: '' };
  return { status, why: `${stderr}${stdout}`.trim() || (signal ?? `exit status ${status}`), stdout };
}
