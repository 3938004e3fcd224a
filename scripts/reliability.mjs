// `npm run reliability -- NAME…`: runs one of test/reliability/ in its whole form, prints its figures and writes them into
// docs/reliability.md. `--short`: the form that CI runs, and nothing is written. `--seed N`, `--count N`: see the test.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeReady } from './machine.mjs';
import { nodeOptions } from './test-file.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = join(root, 'docs/reliability.md');
const known = readdirSync(join(root, 'test/reliability'))
  .flatMap(file => /^(.+)\.test\.ts$/.exec(file)?.[1] ?? [])
  .sort();

const { names, short, seed, count } = readArguments();
makeReady();

let failed = 0;
for (const name of names) {
  const { figures, passed } = await run(name);
  if (!passed) {
    console.error(`${name}: FAILED`);
    failed++;
  } else if (figures.length === 0) {
    console.error(`${name}: FAILED: it said no figure`);
    failed++;
  } else if (!short && count === undefined && seed === undefined) write(name, figures);
}
process.exit(failed === 0 ? 0 : 1);

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { short: { type: 'boolean' }, seed: { type: 'string' }, count: { type: 'string' } },
    });
    const wrong = Object.entries(values).find(([key, value]) => key !== 'short' && !/^\d+$/.test(value));
    if (wrong !== undefined) throw new Error(`--${wrong[0]} takes a number, not ${wrong[1]}`);
    const unknown = positionals.find(name => name !== 'all' && !known.includes(name));
    if (unknown !== undefined) throw new Error(`there is no ${unknown}`);
    if (positionals.length === 0) throw new Error('a name is missing');
    return { names: positionals.includes('all') ? known : positionals, ...values };
  } catch (error) {
    console.error(`${error.message}
usage: npm run reliability -- NAME… [--short] [--seed N] [--count N]
names: all ${known.join(' ')}`);
    process.exit(2);
  }
}

/** Everything that the test prints, and the figures in it. */
function run(name) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...nodeOptions, `test/reliability/${name}.test.ts`], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        ...process.env,
        TAP_TIMEOUT: '0',
        TEST_FORM: short ? 'whole' : 'long',
        ...(seed === undefined ? {} : { TEST_SEED: seed }),
        ...(count === undefined ? {} : { TEST_COUNT: count }),
      },
    });
    const figures = [];
    let skipped = 0;
    createInterface({ input: child.stdout }).on('line', line => {
      console.log(line);
      const figure = /^\s*# figure: (.*)$/.exec(line)?.[1];
      if (figure !== undefined) figures.push(figure);
      if (/^\s*ok .* # (skip|todo)\b/i.test(line)) skipped++;
    });
    child.on('error', reject);
    child.on('close', code => {
      if (skipped > 0) console.error(`${name}: ${skipped} skipped, and what is skipped has no figure`);
      resolve({ figures, passed: code === 0 && skipped === 0 });
    });
  });
}

/** Puts the figures between the markers of their section. */
function write(name, figures) {
  const text = readFileSync(page, 'utf8');
  const begin = `<!-- figures of ${name} -->\n`;
  const end = `<!-- end of ${name} -->`;
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`docs/reliability.md has no place for ${name}: ${begin}${end}`);
  const [kernel] = /^\d+\.\d+/.exec(release()) ?? [release()];
  const where = `Linux ${kernel}, Node ${process.versions.node}`;
  const block = ['```', ...figures, '```', `Measured on ${where}.`].join('\n');
  writeFileSync(page, `${text.slice(0, from)}${begin}${block}\n${text.slice(to)}`);
  console.log(`written to docs/reliability.md: ${figures.join('; ')}`);
}
