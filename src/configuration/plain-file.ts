import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isWant } from '../core/tell/reason.ts';

/**
 * Bytes of the longest file that is read or written: more than 50,000 links take, with a kilobyte each. What is longer is
 * not ours, and to read it would take several times as much memory.
 */
export const mostBytes = 64 << 20;

/** What is wrong with a file of that length; undefined: nothing. */
export function faultOfLength(length: number): string | undefined {
  return length > mostBytes ? `too long: ${length} bytes, and ${mostBytes} at most are read` : undefined;
}

/**
 * The text of a plain file, also by a link to it. Never waits for another process: to open a fifo would hold one of the few
 * threads of node's for good, and when all of them wait there nothing is read or synced any more. Waits for two seconds where
 * there are no descriptors or no memory: a file that is sound must not be taken for one that is not.
 * @throws Error of node:fs, or where it is something else than a plain file, or too long.
 */
export async function readPlainFile(path: string): Promise<string> {
  for (const since = performance.now(); ; await sleep(50)) {
    try {
      return await readNow(path);
    } catch (error) {
      if (!isWant(error) || performance.now() - since > patience) throw error;
    }
  }
}

/** Milliseconds. */
const patience = 2000;

async function readNow(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const found = await file.stat();
    if (!found.isFile()) throw new Error('not a plain file');
    const fault = faultOfLength(found.size);
    if (fault !== undefined) throw new Error(fault);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}
