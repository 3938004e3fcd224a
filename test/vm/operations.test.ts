// Tier c: docs/operations.md shows what a machine prints. `npm run operations` writes it there anew.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { readGuest } from './tier.ts';

// The first run builds the guest's system.
t.setTimeout(240_000);

const path = join(import.meta.dirname, '../../docs/operations.md');
/** A transcript: its name in a comment, and the block after it. */
const block = /(<!-- transcript: (.*) -->\n```console\n)([\s\S]*?)(\n```\n)/g;

await t.test('docs/operations.md', async t => {
  const guest = await readGuest(t, { place: 'nspawn', script: 'operations.sh' });
  if (!guest) return;
  const printed = (name: string) => guest.section(name).replace(/[ \t]+$/gm, '');
  const page = await readFile(path, 'utf8');
  if (process.env.WRITE_OPERATIONS) {
    const written = page.replace(
      block,
      (_, head: string, name: string, _old: string, tail: string) => `${head}${printed(name)}${tail}`,
    );
    await writeFile(path, written);
    return t.pass(`${path} was written`);
  }
  const shown = [...page.matchAll(block)];
  t.ok(shown.length > 10, `${shown.length} transcripts`);
  for (const [, , name = '', text = ''] of shown)
    t.same(shapeOf(text), shapeOf(printed(name)), `${name}: as a guest prints it now`);
});

/** Without what differs from one run to the next: times, processes and what they used. */
function shapeOf(text: string): string[] {
  return text
    .split('\n')
    .map(line =>
      line
        .replace(/^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d /, 'TIME ')
        .replace(/\[\d+\]:/, '[PID]:')
        .replace(/(since )[^;]*; .* ago$/, '$1TIME')
        .replace(/[├└]─ ?(?=\d)/, '├─')
        .replace(/(Main PID: |process |├─)\d+/, '$1PID')
        // systemd does not keep an order among them.
        .replace(/● ppp-routed(-control)?\.socket$/, '● SOCKET')
        .replace(/(interface index )\d+/, '$1N')
        .replace(/\b\d+(\.\d+)?(ms|s|min)\b(?= CPU)/, 'TIME'),
    )
    .filter(
      line =>
        !/^ +(CPU|Memory|Tasks): /.test(line) &&
        // Which `ip` is there already is a matter of milliseconds: each is started once needed.
        !/ ├─PID ip .*-batch -$/.test(line) &&
        // Which of the daemon's processes are ended one by one is a matter of chance.
        !/Killing process PID \(ip\)|Consumed .* CPU/.test(line),
    );
}
