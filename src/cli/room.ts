import * as v from 'valibot';
import { oneLine } from '../core/link/fields.ts';
import { type Sight, SightSchema, type Snapshot, SnapshotSchema } from '../core/tell/snapshot.ts';
import { CommandError } from './command-error.ts';
import type { Terminal } from './terminal.ts';

/** What a command has to work with. */
export interface Room {
  terminal: Terminal;
  /** Asks the daemon. @throws CommandError */
  ask(
    request: { command: 'status' | 'observe' | 'restore' | 'reload' } | { command: 'plan'; event: string },
  ): Promise<unknown>;
}

/** @throws CommandError */
export async function askSnapshot(room: Room, command: 'status' | 'restore' | 'reload'): Promise<Snapshot> {
  return readAnswer(SnapshotSchema, await room.ask({ command }));
}

/** The daemon's snapshot and the kernel's routes. @throws CommandError */
export async function askSight(room: Room): Promise<Sight> {
  return readAnswer(SightSchema, await room.ask({ command: 'observe' }));
}

/** An answer as it should be. @throws CommandError */
export function readAnswer<T>(schema: v.GenericSchema<unknown, T>, answer: unknown): T {
  const result = v.safeParse(schema, answer);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new CommandError(
    'trouble',
    oneLine(`the daemon's answer is not understood: ${v.getDotPath(issue) ?? 'the whole'}: ${issue.message}`),
    'It may be of another version than this program: systemctl restart ppp-routed',
  );
}

export function printJson({ terminal }: Room, value: unknown): void {
  terminal.print(JSON.stringify(value, undefined, 2));
}
