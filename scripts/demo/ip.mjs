import { execFileSync } from 'node:child_process';

/** `ip` with these words; what it prints. */
export function ip(words) {
  return execFileSync('ip', words.split(' '), { encoding: 'utf8' });
}
