import { reasonOf } from '../core/tell/reason.ts';
import type { Snapshot } from '../core/tell/snapshot.ts';
import { Daemon } from '../daemon/daemon.ts';
import type { Kernel, Store } from '../daemon/rooms.ts';

export interface OfflineOptions {
  kernel: Kernel;
  store: Store;
  bootId: string;
  print(sentence: string): void;
}

/**
 * What the daemon does at `restore`, once, in this process: no socket, no monitor. Only where no daemon answers: two
 * writers of one state file would undo each other's work.
 */
export async function restoreOffline({ kernel, store, bootId, print }: OfflineOptions) {
  const say = (_fields: object, sentence: string) => print(`  ${sentence}`);
  const warn = (_fields: object, sentence: string) => print(`  warning: ${sentence}`);
  const released = releasing(store);
  const daemon = new Daemon({
    kernel,
    store: released,
    // Nobody's server is looked for: no link keeps its routes.
    findServers: async () => ({ servers: [], unresolved: [] }),
    journal: { info: say, notice: say, warn, error: warn },
    onStatus: () => undefined,
    bootId,
    retryAfter: 1000,
  });
  try {
    await daemon.start(async () => undefined);
    const observed = await daemon.look();
    const snapshot: Snapshot = daemon.snapshot();
    return { ...snapshot, ...withFault(snapshot, released.fault), observed };
  } finally {
    await daemon.close();
  }
}

/** A state in which every link is let go already: one look and one change then do, and a daemon that starts later keeps to it. */
function releasing(store: Store): Store & { fault?: string } {
  const releasingStore: Store & { fault?: string } = {
    load: async bootId => {
      const { state, notices } = await store.load(bootId);
      const links = state.links.filter(link => link.lost !== true).map(link => ({ ...link, released: true }));
      const released = { ...state, links };
      if (state.links.length > 0) {
        await store.save(released).catch((error: unknown) => {
          releasingStore.fault = `${reasonOf(error)}; a daemon that starts takes the links up again`;
        });
      }
      return { state: released, notices };
    },
    save: state => store.save(state),
  };
  return releasingStore;
}

function withFault({ troubles }: Snapshot, fault: string | undefined): Partial<Snapshot> {
  return fault === undefined ? {} : { degraded: true, troubles: [...troubles, fault] };
}
