import { statSync } from 'node:fs';
import type { Store } from '../daemon/rooms.ts';

/** A store that writes as its directory's owner: the daemon is not root, and what is planted gets no leave of root's. */
export function asOwnerOf(directory: string, store: Store): Store {
  const as = <T>(work: () => T) => asOwner(directory, work);
  return {
    get unreadable() {
      return store.unreadable;
    },
    load: bootId => as(() => store.load(bootId)),
    reread: () => as(() => store.reread()),
    saveLink: link => as(() => store.saveLink(link)),
    removeLink: link => as(() => store.removeLink(link)),
    saveDefaults: savedDefaults => as(() => store.saveDefaults(savedDefaults)),
    setAside: () => as(() => store.setAside()),
  };
}

function asOwner<T>(directory: string, work: () => T): T {
  const owner = statSync(directory, { throwIfNoEntry: false });
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
    return work();
  } finally {
    seteuid(self.uid);
    setegid(self.gid);
  }
}
