// The built ppp-routectl, run on the machine of a lab.
import { dirname, join } from 'node:path';
import { ExecaError } from 'execa';
import type { Lab } from '../netns/lab.ts';

const root = join(import.meta.dirname, '../..');
const daemonProgram = process.env.PPP_ROUTED_PROGRAM ?? join(root, 'dist/ppp-routed.js');
export const program = join(dirname(daemonProgram), 'ppp-routectl.js');

export interface Ended {
  exitCode: number | undefined;
  stdout: string;
  stderr: string;
}

/** The directories of the lab, for a program. */
export function environmentOf(lab: Lab): Record<string, string> {
  return {
    CONFIGURATION_DIRECTORY: join(lab.directory, 'etc'),
    RUNTIME_DIRECTORY: join(lab.directory, 'run'),
    STATE_DIRECTORY: join(lab.directory, 'state'),
  };
}

/** Runs ppp-routectl on the machine: words with spaces between, or one by one. */
export async function ctl(lab: Lab, words: string | string[], through: string[] = []): Promise<Ended> {
  const argv = [
    ...through,
    process.execPath,
    program,
    ...(typeof words === 'string' ? words.split(' ').filter(Boolean) : words),
  ];
  const ended = await lab.start(argv, environmentOf(lab)).catch((error: unknown) => {
    if (error instanceof ExecaError) return error;
    throw error;
  });
  return {
    exitCode: ended.exitCode,
    stdout: plain(lab, ended.stdout),
    stderr: plain(lab, ended.stderr),
  };
}

/** Output without what differs from run to run. */
function plain(lab: Lab, output: unknown): string {
  return String(output)
    .replaceAll(lab.directory, 'DIR')
    .replaceAll(/(process|index) \d+/g, '$1 N')
    .replaceAll('proto ppp-routed', 'proto 173');
}
