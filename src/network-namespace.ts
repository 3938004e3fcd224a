import { statSync } from 'node:fs';

/** The inode of the network namespace that this process is in (namespaces(7)); undefined where /proc does not show it. */
export function networkNamespace(): number | undefined {
  try {
    return statSync('/proc/self/ns/net').ino;
  } catch {
    return undefined;
  }
}
