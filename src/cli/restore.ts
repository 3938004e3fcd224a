import { devicesOf, isDefault, isOwn } from '../core/route/route.ts';
import { adviceFor } from '../core/tell/advice.ts';
import { nameOf } from '../core/tell/meaning.ts';
import type { Sight } from '../core/tell/snapshot.ts';
import { CommandError, exitStatus } from './command-error.ts';
import { askSight, askSnapshot, type Room } from './room.ts';

export interface RestoreRoom extends Room {
  /** Does without a daemon what it would do. @throws CommandError */
  restoreOffline(): Promise<Sight>;
}

/** Puts the uplink back now, whether a daemon is there or not. Links that are up are let go until they come up anew. */
export async function restore(room: RestoreRoom): Promise<number> {
  const sight = (await restoreByDaemon(room)) ?? (await restoreAlone(room));
  room.terminal.print(describe(sight));
  for (const trouble of sight.troubles) {
    room.terminal.print(`${room.terminal.paint('red', 'Trouble:')} ${trouble}\n  ${adviceFor(trouble)}`);
  }
  return sight.degraded ? exitStatus.trouble : exitStatus.fine;
}

/** @returns undefined where there is no daemon. One that cannot be asked may be at work: then nothing is done behind its back. */
async function restoreByDaemon(room: Room): Promise<Sight | undefined> {
  try {
    await askSnapshot(room, 'restore');
    return await askSight(room);
  } catch (error) {
    if (error instanceof CommandError && error.code === 'absent') return undefined;
    throw error;
  }
}

async function restoreAlone(room: RestoreRoom): Promise<Sight> {
  room.terminal.print('No daemon answers; putting the uplink back from the state file.');
  const restored = await room.restoreOffline();
  // One that was started meanwhile has read the state of before: it has the last word, so it is told too.
  return (await restoreByDaemon(room)) ?? restored;
}

function describe({ links, observed }: Sight): string {
  const managed = links.filter(({ profile }) => profile !== undefined);
  const devices = new Set(managed.map(link => link.interface));
  const uplinks = observed.routes.filter(
    route => isDefault(route) && !isOwn(route) && !devicesOf(route).some(dev => devices.has(dev)),
  );
  const lines =
    uplinks.length === 0
      ? ['No default route of an uplink is there, and none is saved.']
      : ['The default of the uplink is in place:', ...uplinks.map(({ line }) => `  ${line}`)];
  if (managed.length > 0) lines.push(`Left alone until they come up anew: ${managed.map(nameOf).join(', ')}`);
  return lines.join('\n');
}
