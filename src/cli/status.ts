import { setTimeout as sleep } from 'node:timers/promises';
import { adviceFor } from '../core/tell/advice.ts';
import { nameOf } from '../core/tell/meaning.ts';
import type { Snapshot } from '../core/tell/snapshot.ts';
import { CommandError, exitStatus } from './command-error.ts';
import { askSnapshot, printJson, type Room } from './room.ts';
import type { Terminal } from './terminal.ts';

export interface StatusOptions {
  json?: boolean;
  watch?: boolean;
}

/** Between two looks of `--watch`, in milliseconds. */
const interval = 500;

/** What holds now: the links, what is saved, and what is wrong. */
export async function status(room: Room, options: StatusOptions): Promise<number> {
  const snapshot = await askSnapshot(room, 'status');
  if (options.watch) return watch(room, options, snapshot);
  if (options.json) printJson(room, snapshot);
  else room.terminal.print(describeStatus(snapshot, room.terminal));
  return snapshot.degraded ? exitStatus.trouble : exitStatus.fine;
}

/** Prints anew whenever something changed, until the program is interrupted. A daemon that restarts is waited for. */
async function watch(room: Room, { json }: StatusOptions, first: Snapshot): Promise<never> {
  let shown: string | undefined;
  for (let seen: Snapshot | CommandError = first; ; seen = await look(room)) {
    const text = seen instanceof CommandError ? seen.message : JSON.stringify(seen);
    if (text !== shown) {
      shown = text;
      if (json) room.terminal.print(seen instanceof CommandError ? JSON.stringify({ error: text }) : text);
      else {
        room.terminal.clear();
        room.terminal.print(seen instanceof CommandError ? text : describeStatus(seen, room.terminal));
      }
    }
    await sleep(interval);
  }
}

async function look(room: Room): Promise<Snapshot | CommandError> {
  try {
    return await askSnapshot(room, 'status');
  } catch (error) {
    if (error instanceof CommandError) return error;
    throw error;
  }
}

/** The status as a person reads it. */
function describeStatus(snapshot: Snapshot, terminal: Terminal): string {
  const { degraded, links, savedDefaults, troubles, warnings } = snapshot;
  const mark = degraded ? terminal.paint('red', 'degraded') : terminal.paint('green', 'fine');
  const saved = savedDefaults.map(
    ({ route, lapsed }) =>
      `  ${route}${lapsed ? ' (the last resort: its device went down since, or another took its place)' : ''}`,
  );
  const wrong = troubles.flatMap(trouble => [
    `  ${trouble}`,
    terminal.paint('dim', `    ${adviceFor(trouble)}`),
  ]);
  const section = (title: string, lines: string[]) => (lines.length === 0 ? [] : ['', title, ...lines]);
  return [
    `${mark}: ${links.map(({ says }) => says).join('; ') || 'no link is up'}`,
    ...links.flatMap(link => section(terminal.paint('bold', nameOf(link)), describeLink(link))),
    ...section(terminal.paint('bold', 'Saved, and put back when the last link goes down'), saved),
    ...section(terminal.paint('red', 'Trouble'), wrong),
    ...section(
      terminal.paint('yellow', 'As configured, and good to know'),
      warnings.map(warning => `  ${warning}`),
    ),
  ].join('\n');
}

function describeLink(link: Snapshot['links'][number]): string[] {
  const { profile, inet, inet6, servers, unresolved = [] } = link;
  const ends = (family: typeof inet) => family && `${family.local ?? '?'} -> ${family.remote ?? '?'}`;
  const rows: [string, string | undefined][] = [
    ['ipv4', ends(inet)],
    ['ipv6', ends(inet6)],
    ['profile', profile === undefined ? 'none matches: left alone' : undefined],
    ['mode', profile && `${profile['default-route']}, priority ${profile.priority}`],
    ['networks', profile?.networks.join(' ')],
    ['excluded', profile?.exclude.join(' ')],
    ['server', servers.length === 0 ? undefined : `${servers.join(' ')} (kept on the uplink)`],
    ['looking for', unresolved.join(' ')],
    ['lost', link.lost ? 'nothing leaves until it returns; ppp-routectl restore lifts this' : undefined],
    ['released', link.released ? 'left alone until it comes up anew' : undefined],
    ['pppd', link.pid === undefined ? undefined : `process ${link.pid}`],
    ['known by', `interface index ${link.ifindex}${link.ipparam ? `, ipparam ${link.ipparam}` : ''}`],
  ];
  return rows.flatMap(([name, value]) => (value ? [`  ${name.padEnd(12)}${value}`] : []));
}
