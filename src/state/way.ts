import { renameSync, unlinkSync } from 'node:fs';
import { hasCode, isMissing } from '../core/tell/reason.ts';

/**
 * Makes something at this path, or puts something there. Where the name is taken (by what a daemon that was killed left
 * behind, or by a directory, which no file can replace) it is cleared, and tried once more.
 * @throws Error of node:fs
 */
export function clearing<T>(path: string, put: (path: string) => T): T {
  try {
    return put(path);
  } catch (error) {
    // A file does not take the place of a directory, nor a directory that of a file; and what is made must be new.
    if (!hasCode(error, 'EEXIST') && !hasCode(error, 'EISDIR')) throw error;
    clear(path);
    return put(path);
  }
}

/**
 * Removes a file of ours, if there is one. A directory is not ours: it is set aside.
 * @throws Error of node:fs
 */
export function clear(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (isMissing(error)) return;
    if (!hasCode(error, 'EISDIR')) throw error;
    setAside(path);
  }
}

/**
 * Keeps what is at a path for a person to look at, under another name. A file that was set aside before is replaced; where a
 * directory has that name, another is found.
 * @throws Error of node:fs
 */
export function setAside(path: string): void {
  for (let n = 1; ; n++) {
    try {
      renameSync(path, n === 1 ? `${path}.rejected` : `${path}.rejected.${n}`);
      return;
    } catch (error) {
      if (!taken.some(code => hasCode(error, code))) throw error;
    }
  }
}

/** What rename(2) says where one of both is a directory, or the other has something in it. */
const taken = ['EISDIR', 'ENOTDIR', 'ENOTEMPTY', 'EEXIST'];

/** What is not needed any more; where it stays it is in nobody's way. Never throws. */
export function discard(path: string): void {
  try {
    unlinkSync(path);
  } catch {}
}
