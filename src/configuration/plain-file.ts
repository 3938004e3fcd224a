import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode, isWant, reasonOf } from '../core/tell/reason.ts';

/** Bytes of the longest file that is read. What is longer is not ours, and takes several times as much memory. */
const mostBytes = 64 << 20;
/** How long descriptors or memory are waited for, in milliseconds. */
const patience = 2000;

/**
 * The text of a plain file, also by a link to it. If there are no descriptors or no memory, it waits for two seconds: a file
 * that is sound must not be taken for one that is not.
 * @throws Error of node:fs, or where it is something else than a plain file, or too long.
 */
export async function readPlainFile(path: string): Promise<string> {
  for (const since = performance.now(); ; await sleep(50)) {
    try {
      return readNow(path);
    } catch (error) {
      if (!isWant(error) || performance.now() - since > patience) throw error;
    }
  }
}

/**
 * One text for as long as a file is the very same and nobody has written to it, or a directory is the very same with the
 * same names in it; why, where that cannot be told; undefined: it is not there. Inode numbers are used again, a ctime is not.
 */
export async function momentOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino, mode, ctimeNs } = await stat(path, { bigint: true });
    return `${dev}:${ino}:${mode}:${ctimeNs}`;
  } catch (error) {
    return hasCode(error, 'ENOENT') ? undefined : reasonOf(error);
  }
}

function readNow(path: string): string {
  // Opening a fifo for reading would wait for a writer.
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const found = fstatSync(descriptor);
    if (!found.isFile()) throw new Error('not a plain file');
    if (found.size > mostBytes)
      throw new Error(`too long: ${found.size} bytes, and ${mostBytes} at most are read`);
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}
