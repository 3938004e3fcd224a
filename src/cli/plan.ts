import { decodeEvent } from '../core/link/event.ts';
import { EventError } from '../core/link/fields.ts';
import { type Rehearsal, RehearsalSchema } from '../core/tell/rehearsal.ts';
import { CommandError, exitStatus } from './command-error.ts';
import { printJson, type Room, readAnswer } from './room.ts';
import type { Terminal } from './terminal.ts';

/** What pppd hands to a hook, under the names of docs/wire.md. */
export interface Call {
  event: string;
  interface: string;
  tty?: string | undefined;
  speed?: string | undefined;
  local?: string | undefined;
  remote?: string | undefined;
  ipparam?: string | undefined;
  linkname?: string | undefined;
  peername?: string | undefined;
  call?: string | undefined;
  pid?: string | undefined;
  'peer-option'?: string[] | undefined;
}

/** What would be done at an event, and the table that would result. Nothing is changed. */
export async function plan(room: Room, { json, ...call }: Call & { json?: boolean }): Promise<number> {
  const event = wireTextOf(call);
  const rehearsal = readAnswer(RehearsalSchema, await room.ask({ command: 'plan', event }));
  const { before, table, ...rest } = rehearsal;
  const changes = compareTables({ before, after: table });
  if (json) printJson(room, { ...rest, before, table, changes });
  else room.terminal.print(describe({ ...rest, changes }, room.terminal));
  return exitStatus.fine;
}

/** The event as a hook would send it. @throws CommandError where the daemon would refuse it. */
function wireTextOf(call: Call): string {
  const fields = { version: '1', ...call };
  const lines = Object.entries(fields).flatMap(([key, value]) =>
    [value ?? ''].flat().flatMap(one => (one === '' ? [] : [`${key}=${one}`])),
  );
  const broken = lines.find(line => /[\r\n]/.test(line));
  try {
    if (broken !== undefined)
      throw new EventError('FIELD', `${JSON.stringify(broken)} is more than one line`);
    const text = `${lines.join('\n')}\n\n`;
    decodeEvent(Buffer.from(text));
    return text;
  } catch (error) {
    if (!(error instanceof EventError)) throw error;
    throw new CommandError(
      'usage',
      error.message,
      "Give what pppd gives its scripts, in pppd's order: ppp-routectl plan ip-up ppp0 /dev/pts/0 115200 10.99.0.2 10.99.0.1 work",
    );
  }
}

interface Change {
  change: 'added' | 'gone' | 'kept';
  route: string;
}

type Told = Pick<Rehearsal, 'event' | 'commands' | 'says'> & { changes: Change[] };

/** Both tables in one, each in its own order. */
function compareTables({ before, after }: { before: string[]; after: string[] }): Change[] {
  const changes: Change[] = [];
  const rest = [...before];
  for (const route of after) {
    const at = rest.indexOf(route);
    if (at < 0) changes.push({ change: 'added', route });
    else {
      changes.push(...rest.splice(0, at).map(gone => ({ change: 'gone', route: gone }) as const));
      rest.shift();
      changes.push({ change: 'kept', route });
    }
  }
  return [...changes, ...rest.map(route => ({ change: 'gone', route }) as const)];
}

const marks = {
  added: { sign: '+', style: 'green' },
  gone: { sign: '-', style: 'red' },
  kept: { sign: ' ', style: 'dim' },
} as const;

function describe({ event, commands, says, changes }: Told, terminal: Terminal): string {
  const section = (title: string, lines: string[]) =>
    lines.length === 0 ? [] : ['', terminal.paint('bold', title), ...lines];
  const indent = (lines: string[]) => lines.map(line => `  ${line}`);
  const table = changes.map(({ change, route }) => {
    const { sign, style } = marks[change];
    return terminal.paint(style, `${sign} ${route}`);
  });
  return [
    event,
    ...(commands.length === 0 ? ['', 'No command would be run.'] : []),
    ...section('Would run, in this order (nothing was changed)', indent(commands)),
    ...section('Would hold then', indent(says)),
    ...['', terminal.paint('bold', 'The table that would result: + added, - gone'), ...table],
  ].join('\n');
}
