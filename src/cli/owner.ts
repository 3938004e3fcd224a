import { stat } from 'node:fs/promises';
import type { Store } from '../daemon/rooms.ts';

/**
 * A store whose files stay its directory's owner's: the daemon is not root and must be able to read what root wrote. As that
 * owner, and not by chown afterwards: nothing that it planted there gets root's leave.
 */
export function asOwnerOf(directory: string, store: Store): Store {
  return {
    load: bootId => asOwner(directory, () => store.load(bootId)),
    save: state => asOwner(directory, () => store.save(state)),
  };
}

async function asOwner<T>(directory: string, work: () => Promise<T>): Promise<T> {
  const owner = await stat(directory).catch(() => undefined);
  const { geteuid, getegid, seteuid, setegid } = process;
  if (owner === undefined || owner.uid === geteuid?.() || !geteuid || !getegid || !seteuid || !setegid)
    return work();
  const self = { uid: geteuid(), gid: getegid() };
  try {
    setegid(owner.gid);
    seteuid(owner.uid);
  } catch {
    // In a user namespace an owner may have no number here.
    setegid(self.gid);
    return work();
  }
  try {
    return await work();
  } finally {
    seteuid(self.uid);
    setegid(self.gid);
  }
}
