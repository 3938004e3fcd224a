import { stat } from 'node:fs/promises';
import { hasCode, reasonOf } from '../core/tell/reason.ts';

/**
 * One text for as long as a file is the very same and nobody has written to it, or a directory is the very same with the
 * same names in it; why, where that cannot be told; undefined: it is not there. The number of one that was deleted is soon
 * given to another, of any kind: its ctime is not.
 */
export async function momentOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino, mode, ctimeNs } = await stat(path, { bigint: true });
    return `${dev}:${ino}:${mode}:${ctimeNs}`;
  } catch (error) {
    return hasCode(error, 'ENOENT') ? undefined : reasonOf(error);
  }
}
