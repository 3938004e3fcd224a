import { closeSync, constants, fsync, openSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { faultOfLength } from '../configuration/plain-file.ts';
import { clearing, discard } from './way.ts';

const sync = promisify(fsync);
const { O_WRONLY, O_CREAT, O_EXCL, O_RDONLY, O_DIRECTORY } = constants;

/**
 * Writes a file so that after a crash there is either the old one or the whole of the new one: temporary file, fsync,
 * rename, fsync of the directory. Only for the disk is anything waited for: what the file system does in memory takes less
 * time than to ask another thread for it.
 * @throws Error of node:fs, or where the text is too long to be read again; then the temporary file is gone, and the file is
 * the old one, or the whole of the new one where only the directory could not be synced.
 */
export async function writeDurably(file: {
  path: string;
  temporary: string;
  text: string;
  /** Called when the text is safe, before it takes the file's name. */
  beforeRename?(): void;
}): Promise<void> {
  // What could not be read again is not safe.
  const fault = faultOfLength(Buffer.byteLength(file.text));
  if (fault !== undefined) throw new Error(fault);
  try {
    const flags = O_WRONLY | O_CREAT | O_EXCL;
    await withOpen(
      clearing(file.temporary, path => openSync(path, flags, 0o600)),
      async descriptor => {
        writeFileSync(descriptor, file.text);
        await sync(descriptor);
      },
    );
    file.beforeRename?.();
    clearing(file.path, path => renameSync(file.temporary, path));
    await withOpen(openSync(dirname(file.path), O_RDONLY | O_DIRECTORY), sync);
  } catch (error) {
    discard(file.temporary);
    throw error;
  }
}

async function withOpen(descriptor: number, use: (descriptor: number) => Promise<void>): Promise<void> {
  try {
    await use(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
