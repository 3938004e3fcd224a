import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/**
 * The text of a plain file, also by a link to it. Never waits: to open a fifo would hold one of the few threads of node's
 * for good, and when all of them wait there nothing is read or synced any more.
 * @throws Error of node:fs, or where it is something else than a plain file.
 */
export async function readPlainFile(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!(await file.stat()).isFile()) throw new Error('not a plain file');
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}
