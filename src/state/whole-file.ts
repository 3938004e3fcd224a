import { lstatSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { hasCode, isMissing } from '../core/tell/reason.ts';
import { tooLong } from './document.ts';
import { clearing, discard, setAside } from './way.ts';

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
  try {
    for (const name of readdirSync(directory))
      if (/^\..+\.json\.\d+$/.test(name)) discard(join(directory, name));
  } catch {}
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
