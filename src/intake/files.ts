import { closeSync, constants, lstatSync, mkdirSync, openSync, readSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { EventError, messageLimit } from '../core/link/fields.ts';
import { isMissing } from '../core/tell/reason.ts';

/** Calls back for each in turn, file calls included (a thread costs more). Other work goes on in between. */
export async function forEachInTurns<T>(items: readonly T[], act: (item: T) => void): Promise<void> {
  for (const [index, item] of items.entries()) {
    if (index % 100 === 99) await setImmediate();
    act(item);
  }
}

/** A plain file's bytes; never follows a link, never waits on a fifo. undefined if it is gone. */
export function readSmallFile(path: string): Buffer | undefined {
  try {
    if (!lstatSync(path).isFile()) throw new EventError('FIELD', 'not a plain file');
    const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const buffer = Buffer.alloc(messageLimit + 1);
      return buffer.subarray(0, readSync(file, buffer, 0, buffer.length, 0));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** The daemon's own directory in the spool. @throws Error where something else, such as a link, has the name. */
export function roomIn(spool: string, name: '.taken' | 'rejected'): string {
  const path = join(spool, name);
  const found = statusOf(path);
  if (found === undefined) mkdirSync(path, { mode: 0o700 });
  else if (!found.isDirectory()) throw new Error(`${path} is no directory`);
  return path;
}

/** undefined where it cannot be told; never follows a link. */
export function statusOf(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    return undefined;
  }
}
