import { spawnSync } from 'node:child_process';
import { readFileSync, type Stats } from 'node:fs';
import { hasCode } from '../core/tell/reason.ts';
import { CommandError } from './command-error.ts';

export interface OwnersRun {
  owner: Pick<Stats, 'uid' | 'gid'>;
  /** Of this program: a subcommand that writes its answer to descriptor 3. */
  argv: readonly string[];
  environment: NodeJS.ProcessEnv;
}

/**
 * Runs this program with the rights that the daemon has: those of the owner of its state, and CAP_NET_ADMIN. What is planted
 * in the directory gets no leave of root's. Not by seteuid(): where libuv may use io_uring, Node refuses it, and Debian's
 * does so always (CVE-2024-22017).
 * @returns its answer; undefined where nobody can become the owner, who may have no number in a user namespace
 * @throws CommandError
 */
export function runAsOwner({ owner, argv, environment }: OwnersRun): string | undefined {
  const { uid, gid } = owner;
  const setpriv = [
    ...[`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--no-new-privs'],
    ...['bounding-set', 'inh-caps', 'ambient-caps'].map(name => `--${name}=-all,+net_admin`),
  ];
  // From standard input: the owner need not be able to enter the directory that the program is in.
  const { status, error, output } = spawnSync('setpriv', [...setpriv, process.execPath, '-', ...argv], {
    cwd: '/',
    env: environment,
    input: readFileSync(process.argv[1] ?? ''),
    stdio: ['pipe', 'inherit', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: Number.POSITIVE_INFINITY,
  });
  const [, , stderr, answer] = output ?? [];
  // setpriv(1): 126 and 127 are its own.
  if (status === 126 || status === 127) return undefined;
  process.stderr.write(stderr ?? '');
  if (status === 0 && answer) return answer;
  if (error && hasCode(error, 'ENOENT'))
    throw faultOf('setpriv is missing', 'Install it (Debian: util-linux) and run this again');
  throw faultOf(
    stderr ? 'see above' : `its process ended with ${status ?? 'a signal'}`,
    'Look at `ip route`',
  );
}

function faultOf(why: string, advice: string): CommandError {
  return new CommandError('trouble', `the uplink was not put back from the state file: ${why}`, advice);
}
