import { lstatSync, mkdirSync, readdirSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { hasCode, isMissing } from '../core/tell/reason.ts';
import { tooLong } from './document.ts';

/**
 * Writes a file so that a kill leaves either the old one or the whole of the new one: temporary file, rename. Not synced to
 * a disk. Makes the directory where it is missing.
 * @throws Error of node:fs, or where the text is too long to be read again; then the old file is as it was.
 */
export function writeWhole(
  path: string,
  { text, mostBytes, keepsOld }: { text: string; mostBytes: number; keepsOld: boolean },
): void {
  const length = Buffer.byteLength(text);
  if (length > mostBytes) throw tooLong(length, mostBytes);
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}`);
  const put = () => clearing(temporary, name => writeFileSync(name, text, { mode: 0o600, flag: 'wx' }));
  try {
    try {
      put();
    } catch (error) {
      if (!isMissing(error)) throw error;
      makeDirectory(dirname(path));
      put();
    }
    if (keepsOld) keep(path);
    clearing(path, name => renameSync(temporary, name));
  } catch (error) {
    discard(temporary);
    throw error;
  }
}

/** Removes what a daemon that was killed was about to write. Never throws. */
export function removeTemporaries(directory: string): void {
  discardAll(directory, /^\..+\.json\.\d+$/);
}

/** Removes a file of ours, if there is one. A directory is not ours: it is set aside. @throws Error of node:fs */
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
      // rename(2), where one of both is a directory, or the other has something in it.
      if (!['EISDIR', 'ENOTDIR', 'ENOTEMPTY', 'EEXIST'].some(code => hasCode(error, code))) throw error;
    }
  }
}

/** What is not needed any more; where it stays it is in nobody's way. Never throws. */
export function discard(path: string): void {
  try {
    unlinkSync(path);
  } catch {}
}

/** The same of all files in a directory whose names fit. Never throws. */
export function discardAll(directory: string, names: RegExp): void {
  try {
    for (const name of readdirSync(directory)) if (names.test(name)) discard(join(directory, name));
  } catch {}
}

/** Where the name is taken, by a leftover or by a directory, which no file can replace, it is cleared and tried again. */
function clearing(path: string, put: (path: string) => void): void {
  try {
    put(path);
  } catch (error) {
    if (!hasCode(error, 'EEXIST') && !hasCode(error, 'EISDIR')) throw error;
    clear(path);
    put(path);
  }
}

/** A file in the place of the directory is set aside. */
function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    setAside(path);
    mkdirSync(path, { mode: 0o700 });
  }
}

/** What is damaged is kept for a person to look at, if there is anything in it. */
function keep(path: string): void {
  try {
    const found = lstatSync(path);
    if (!found.isFile() || found.size > 0) setAside(path);
  } catch {}
}
