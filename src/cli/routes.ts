import { isOwn } from '../core/route/route.ts';
import { nameOf, wordsOfRule } from '../core/tell/meaning.ts';
import type { Sight } from '../core/tell/snapshot.ts';
import { flagWords, type Row, readTables, type Section } from '../core/tell/table.ts';
import { exitStatus } from './command-error.ts';
import { askSight, printJson, type Room } from './room.ts';
import type { Style, Terminal } from './terminal.ts';

/** The route tables as a person reads them, each line with what it means. */
export async function routes(room: Room, { json }: { json?: boolean }): Promise<number> {
  const sight = await askSight(room);
  const sections = readTables(sight);
  if (json) printJson(room, jsonOf(sight, sections));
  else room.terminal.print(describeTables(sight, { sections, terminal: room.terminal }));
  return exitStatus.fine;
}

function describeTables(
  { links, savedDefaults, observed }: Sight,
  { sections, terminal }: { sections: Section[]; terminal: Terminal },
): string {
  const section = (title: string, lines: string[]) =>
    lines.length === 0 ? [] : [terminal.paint('bold', title), ...lines, ''];
  const rules = observed.rules
    .filter(isOwn)
    .map(rule => `${rule.priority}: ${rule.selector}  ${terminal.paint('dim', wordsOfRule(rule))}`);
  const managed = links.filter(({ profile }) => profile !== undefined).map(nameOf);
  const saved = `Saved while ${managed.join(', ') || 'a link'} is up, and put back afterwards`;
  return [
    ...sections.flatMap(one => [...describeSection(one, terminal), '']),
    ...section('Rules of ppp-routed, in the order they are asked', rules),
    ...section(
      saved,
      savedDefaults.map(({ route }) => route),
    ),
    legendOf(sections),
  ].join('\n');
}

const columns: { name: string; cell(row: Row): string }[] = [
  { name: 'Destination', cell: row => row.destination },
  { name: 'Gateway', cell: row => row.gateway },
  { name: 'Genmask', cell: row => row.genmask ?? '' },
  { name: 'Flags', cell: row => row.flags },
  { name: 'Metric', cell: row => String(row.metric) },
  { name: 'Iface', cell: row => row.iface },
];

/** Columns of numbers as `route -n` has them, then the words. Where a terminal is too narrow the words get a line of their own. */
function describeSection({ title, family, rows }: Section, terminal: Terminal): string[] {
  const shown = columns
    .filter(({ name }) => family === 'inet' || name !== 'Genmask')
    .map(({ name, cell }) => ({
      name,
      cell,
      width: rows.reduce((widest, row) => Math.max(widest, cell(row).length), name.length),
    }));
  const numbersOf = (row: Row) => shown.map(({ cell, width }) => cell(row).padEnd(width)).join('  ');
  const room = (terminal.columns ?? Infinity) - shown.reduce((sum, { width }) => sum + width + 2, 0);
  const isNarrow = rows.some(({ meaning }) => (meaning?.words.length ?? 0) > room);
  const heading = shown.map(({ name, width }) => name.padEnd(width)).join('  ');
  return [
    terminal.paint('bold', title),
    terminal.paint('dim', isNarrow ? heading.trimEnd() : `${heading}  Meaning`),
    ...rows.flatMap(row => {
      const { meaning } = row;
      if (meaning === undefined) return [numbersOf(row).trimEnd()];
      const style = styles[meaning.role];
      const words = style === undefined ? meaning.words : terminal.paint(style, meaning.words);
      return isNarrow ? [numbersOf(row).trimEnd(), `    ${words}`] : [`${numbersOf(row)}  ${words}`];
    }),
  ];
}

const styles: Partial<Record<NonNullable<Row['meaning']>['role'], Style>> = {
  'link-default': 'green',
  'link-network': 'green',
  'far-end': 'green',
  pin: 'yellow',
  exclude: 'yellow',
  block: 'red',
  leftover: 'red',
  'uplink-default': 'cyan',
};

function legendOf(sections: readonly Section[]): string {
  const used = new Set(sections.flatMap(({ rows }) => rows.flatMap(({ flags }) => [...flags])));
  const words = Object.entries(flagWords).flatMap(([flag, meaning]) =>
    used.has(flag) ? [`${flag} ${meaning}`] : [],
  );
  return `Flags: ${words.join('; ')}`;
}

function jsonOf({ links, savedDefaults, observed }: Sight, sections: readonly Section[]) {
  return {
    tables: sections.map(({ family, table, rows }) => ({
      family,
      table,
      routes: rows.map(({ route, meaning, ...cells }) => ({
        ...cells,
        role: meaning?.role,
        means: meaning?.words,
        link: meaning?.link,
        route: route.line,
      })),
    })),
    rules: observed.rules.map(rule => ({ ...rule, own: isOwn(rule) })),
    savedDefaults,
    links: links.map(({ interface: name, says }) => ({ interface: name, says })),
  };
}
