// `npm run bench [-- ROW...]`: runs the rows and prints what they found. All of them together write docs/performance.md.
import { findObstacle } from '../netns/namespace.ts';
import { writeReport } from './report.ts';
import type { Finding, Result, Table } from './row.ts';
import { event } from './rows/event.ts';
import { flags, footprint } from './rows/footprint.ts';
import { pair } from './rows/pair.ts';
import { processes } from './rows/processes.ts';
import { links, routes } from './rows/scale.ts';
import { status } from './rows/status.ts';
import { storm } from './rows/storm.ts';
import { gap } from './rows/switch.ts';

const rows: Record<string, () => Promise<Result>> = {
  pair,
  event,
  processes,
  switch: gap,
  links,
  routes,
  storm,
  footprint,
  status,
  flags,
};

const obstacle = findObstacle();
if (obstacle) {
  console.error(`cannot measure: ${obstacle}`);
  process.exit(1);
}
const named = process.argv.slice(2);
const unknown = named.filter(name => !(name in rows));
if (unknown.length > 0) {
  console.error(`no row ${unknown.join(', ')}; there are ${Object.keys(rows).join(', ')}`);
  process.exit(2);
}
const results: Result[] = [];
for (const [name, measure] of Object.entries(rows)) {
  if (named.length > 0 && !named.includes(name)) continue;
  console.log(`\n== ${name}`);
  const result = await measure();
  for (const table of result.tables) printTable(table);
  for (const finding of result.findings) printFinding(finding);
  results.push(result);
}
if (named.length === 0) {
  console.log('\n== together');
  for (const finding of results.flatMap(({ findings }) => findings)) printFinding(finding);
  for (const path of await writeReport(results)) console.log(`wrote ${path}`);
}

function printTable({ title, lines }: Table): void {
  const widths = (lines[0] ?? []).map((_, i) => Math.max(...lines.map(line => line[i]?.length ?? 0)));
  console.log(`${title}\n`);
  for (const line of lines) {
    console.log(
      line
        .map((word, i) => (i === 0 ? word.padEnd(widths[i] ?? 0) : word.padStart(widths[i] ?? 0)))
        .join('  '),
    );
  }
  console.log();
}

function printFinding({ what, figure, target, met }: Finding): void {
  console.log(`${what}: ${figure}${target === undefined ? '' : ` (${target}: ${met ? 'met' : 'NOT MET'})`}`);
}
