import { adviceFor } from '../core/tell/advice.ts';
import { exitStatus } from './command-error.ts';
import { askSnapshot, type Room } from './room.ts';

/** Has the daemon read its configuration now, and says whether it could use it. */
export async function reload(room: Room): Promise<number> {
  const { terminal } = room;
  const { status, troubles } = await askSnapshot(room, 'reload');
  const refusal = troubles.find(trouble => trouble.startsWith('the configuration is not used'));
  if (refusal === undefined) {
    terminal.print(`The configuration was read. ${status}`);
    return exitStatus.fine;
  }
  terminal.print(`${terminal.paint('red', 'Refused:')} ${refusal}\n  ${adviceFor(refusal)}`);
  return exitStatus.trouble;
}
