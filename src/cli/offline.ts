import { adviceFor } from '../core/tell/advice.ts';
import { reasonOf } from '../core/tell/reason.ts';
import type { Snapshot } from '../core/tell/snapshot.ts';
import { Daemon } from '../daemon/daemon.ts';
import type { Kernel, Store } from '../daemon/rooms.ts';
import { CommandError } from './command-error.ts';

export interface OfflineOptions {
  kernel: Kernel;
  store: Store;
  bootId: string;
  print(sentence: string): void;
}

/** The daemon's `restore` in this process. Only where no daemon answers: two would undo each other's work. */
export async function restoreOffline({ kernel, store, bootId, print }: OfflineOptions) {
  const say = (_fields: object, sentence: string) => print(`  ${sentence}`);
  const warn = (_fields: object, sentence: string) => print(`  warning: ${sentence}`);
  const released = releasing(store);
  const daemon = new Daemon({
    kernel,
    store: released,
    // Nobody's server is looked for: no link keeps its routes.
    lookUp: async names => ({ servers: [], unresolved: [...names] }),
    journal: { info: say, notice: say, warn, error: warn },
    onStatus: () => undefined,
    bootId,
    retryAfter: 1000,
  });
  try {
    await daemon.start(async () => undefined);
    const observed = await daemon.look().catch((error: unknown) => {
      const reason = reasonOf(error);
      throw new CommandError('trouble', reason, adviceFor(reason));
    });
    const snapshot: Snapshot = daemon.snapshot();
    return { ...snapshot, ...withFault(snapshot, released.fault), observed };
  } finally {
    await daemon.close();
  }
}

/** A store in which every link is let go already: one look and one change do, and a later daemon keeps to it. */
function releasing(store: Store): Store & { fault?: string } {
  const releasingStore: Store & { fault?: string } = {
    get unreadable() {
      return store.unreadable;
    },
    reread: () => store.reread(),
    saveLink: link => store.saveLink(link),
    removeLink: link => store.removeLink(link),
    saveDefaults: savedDefaults => store.saveDefaults(savedDefaults),
    setAside: () => store.setAside(),
    load: bootId => {
      const { savedDefaults, links, notices } = store.load(bootId);
      const unreadable = store.setAside();
      const released = links.filter(({ lost }) => lost !== true).map(link => ({ ...link, released: true }));
      try {
        for (const link of released) store.saveLink(link);
        for (const link of links.filter(({ lost }) => lost === true)) store.removeLink(link);
      } catch (error) {
        releasingStore.fault = `${reasonOf(error)}; a daemon that starts takes the links up again`;
      }
      return { savedDefaults, links: released, notices, unreadable };
    },
  };
  return releasingStore;
}

function withFault({ troubles }: Snapshot, fault: string | undefined): Partial<Snapshot> {
  return fault === undefined ? {} : { degraded: true, troubles: [...troubles, fault] };
}
