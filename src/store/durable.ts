import { closeSync, constants, fsync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

const sync = promisify(fsync);
const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW, O_RDONLY, O_DIRECTORY } = constants;

/**
 * Writes a file so that after a crash there is either the old one or the whole of the new one: temporary file, fsync,
 * rename, fsync of the directory. Only for the disk is anything waited for: what the file system does in memory takes less
 * time than to ask another thread for it.
 * @throws Error of node:fs; then the temporary file is gone, and the file is the old one, or the whole of the new one where
 * only the directory could not be synced.
 */
export async function writeDurably(file: {
  path: string;
  temporary: string;
  text: string;
  /** Called when the text is safe, before it takes the file's name. */
  beforeRename?(): void;
}): Promise<void> {
  try {
    await withOpen(file.temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, async descriptor => {
      writeFileSync(descriptor, file.text);
      await sync(descriptor);
    });
    file.beforeRename?.();
    renameSync(file.temporary, file.path);
    await withOpen(dirname(file.path), O_RDONLY | O_DIRECTORY, sync);
  } catch (error) {
    rmSync(file.temporary, { force: true });
    throw error;
  }
}

async function withOpen(
  path: string,
  flags: number,
  use: (descriptor: number) => Promise<void>,
): Promise<void> {
  const descriptor = openSync(path, flags, 0o600);
  try {
    await use(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
