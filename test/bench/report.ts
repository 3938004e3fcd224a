// docs/performance.md: what was measured goes between two marks, the prose around it is a person's.
import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { root } from './machine.ts';
import { plot } from './plot.ts';
import type { Result, Table } from './row.ts';

const page = join(root, 'docs/performance.md');
const picture = join(root, 'docs/performance.svg');
const marks = { begin: '<!-- measured by `npm run bench` -->', end: '<!-- end of what was measured -->' };

/** Returns the files that were written. */
export async function writeReport(results: readonly Result[]): Promise<string[]> {
  const text = await readFile(page, 'utf8');
  const begin = text.indexOf(marks.begin);
  const end = text.indexOf(marks.end);
  if (begin === -1 || end < begin)
    throw new Error(`${page} has lost its marks: ${marks.begin} and ${marks.end}`);
  const measured = `${marks.begin}\n\n${describe(results)}\n\n${marks.end}`;
  await writeFile(page, text.slice(0, begin) + measured + text.slice(end + marks.end.length));
  await writeFile(picture, plot(results.flatMap(({ series = [] }) => series)));
  return ['docs/performance.md', 'docs/performance.svg'];
}

function describe(results: readonly Result[]): string {
  const findings = results.flatMap(result => result.findings);
  const missed = findings.filter(({ met }) => met === false).length;
  const verdict =
    missed === 0 ? 'All targets are met.' : `${missed} of ${findings.length} targets are not met.`;
  const all: Table = {
    title: '',
    lines: [
      ['what', 'figure', 'target', 'met'],
      ...findings.map(({ what, figure, target = '', met }) => [what, figure, target, met ? 'yes' : '**no**']),
    ],
  };
  return [
    `On ${machine()}. ${verdict}`,
    markdownOf(all),
    '![milliseconds an event, by links and by routes](performance.svg)',
    ...results.flatMap(({ tables }) => tables.map(table => `**${table.title}**\n\n${markdownOf(table)}`)),
  ].join('\n\n');
}

/** In general terms: who reads it has another one. */
function machine(): string {
  const kernel = /^\d+\.\d+/.exec(release())?.[0];
  const iproute = /[\d.]+/.exec(
    execFileSync('ip', ['-V'], { encoding: 'utf8' }).replace(/^.*iproute2-/, ''),
  )?.[0];
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${availableParallelism()} cores, ${memory} GiB of memory, Linux ${kernel}, iproute2 ${iproute}, Node ${process.versions.node}`;
}

function markdownOf({ lines }: Table): string {
  const [head = [], ...rest] = lines;
  const row = (words: readonly string[]) => `| ${words.join(' | ')} |`;
  return [row(head), row(head.map((_, i) => (i === 0 ? '---' : '--:'))), ...rest.map(row)].join('\n');
}
