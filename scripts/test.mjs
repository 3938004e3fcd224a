// `npm test`: sets up what the tests need and runs every tier in its short form. `npm test -- all`: the whole form of all, as
// CI runs it. `npm test -- netns pppd`: the whole form of these. `--seed N`: other random inputs. tiers.mjs has the table.
// Plain Node until the dependencies are there.
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  installPackages,
  isMissing,
  isRoot,
  makeReady,
  missingPackages,
  obstacleToNamespaces,
  programsOfGuest,
} from './machine.mjs';
import { runJobs } from './test-jobs.mjs';
import { tiers } from './tiers.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { names, form, seed } = readArguments();
const noNamespaces = obstacleToNamespaces();
const placed = names.map(name => ({ name, tier: tiers[name], ...placeOf(tiers[name]) }));
installPackages(missingPackages(placed.flatMap(({ programs }) => programs)));
makeReady();
for (const entry of placed) entry.reason ??= missingProgram(entry.programs);

const jobs = placed.filter(({ reason }) => reason === undefined);
const variables = { TEST_FORM: form, ...(seed === undefined ? {} : { TEST_SEED: seed }) };
const started = performance.now();
const results = await runJobs(jobs, { root, variables });
report();

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { seed: { type: 'string' } },
    });
    if (values.seed !== undefined && !/^\d{1,9}$/.test(values.seed))
      throw new Error(`--seed takes a number, not ${values.seed}`);
    const unknown = positionals.filter(name => name !== 'all' && !(name in tiers));
    if (unknown.length > 0) throw new Error(`no tier ${unknown.join(', ')}`);
    const isAll = positionals.length === 0 || positionals.includes('all');
    return {
      names: Object.keys(tiers).filter(name => isAll || positionals.includes(name)),
      form: positionals.length === 0 ? 'short' : 'whole',
      seed: values.seed,
    };
  } catch (error) {
    console.error(`${error.message}; there are ${Object.keys(tiers).join(', ')}`);
    console.error('usage: npm test [-- all | TIER…] [--seed N]');
    process.exit(2);
  }
}

/** Where a tier runs, which of its paths, and the programs that this takes; or the reason why it cannot. */
function placeOf({ paths, short = paths, guest, ownGuest, needs, as, programs = [] }) {
  if (as !== undefined && !isRoot)
    return { programs: [], reason: 'it needs root to become another user, and all tiers run as one already' };
  const chosen = form === 'short' ? short : paths;
  if (needs === undefined) return { paths: chosen, programs };
  const all = programs.includes('linux.uml') ? [...programs, ...programsOfGuest()] : programs;
  if (noNamespaces === undefined && (needs !== 'containers' || isRoot))
    return { paths: chosen, programs: all };
  if (needs === 'containers' && !isRoot) return { programs: [], reason: 'it needs root: sudo npm test' };
  const needed = [...programsOfGuest(), ...programs.filter(isOfGuest)];
  if (guest !== undefined) return { paths: guest, programs: needed, place: 'guest' };
  if (ownGuest !== undefined) return { paths: ownGuest, programs: [...needed, 'pppd'], place: 'ownGuest' };
  return { programs: [], reason: noNamespaces };
}

/** Programs that build guests of another kind are of no use in this one. */
function isOfGuest(program) {
  return !['mmdebstrap', 'systemd-nspawn'].includes(program);
}

function missingProgram(programs) {
  const missing = programs.filter(isMissing);
  if (missing.length === 0) return undefined;
  const command = `apt-get install ${missingPackages(missing).join(' ')}`;
  return `${missing.join(', ')} missing; on Debian: ${isRoot ? '' : 'sudo '}${command}`;
}

function report() {
  console.log();
  const totals = { pass: 0, fail: 0, skip: 0 };
  for (const { name, tier, reason, place } of placed) {
    const mine = results.filter(result => result.name === name);
    const counts = { pass: 0, fail: 0, skip: 0 };
    for (const key of Object.keys(counts)) for (const result of mine) counts[key] += result.counts[key];
    if (reason === undefined && mine.length === 0) counts.fail++;
    // A tier that did not run is no success where every tier must run.
    if (reason !== undefined) counts[process.env.CI ? 'fail' : 'skip']++;
    for (const key of Object.keys(totals)) totals[key] += counts[key];
    const seconds = mine.reduce((sum, result) => sum + result.seconds, 0).toFixed(0);
    const text =
      reason ??
      `${counts.pass} passed, ${counts.fail} failed, ${counts.skip} skipped; ${mine.length} files, ${seconds} s${place ? `; the part that runs in a guest: ${noNamespaces}` : ''}`;
    const word = reason !== undefined ? 'NOT RUN' : counts.fail === 0 ? 'passed' : 'FAILED';
    console.log(`${name.padEnd(12)} ${word.padEnd(8)} ${text}`);
    if (form === 'short' && reason === undefined && place === undefined && tier.adds !== undefined)
      console.log(`${''.padEnd(21)} npm test -- ${name} adds ${tier.adds}`);
  }
  const minutes = ((performance.now() - started) / 60_000).toFixed(1);
  console.log(
    `\ntests: ${totals.pass} passed, ${totals.fail} failed, ${totals.skip} skipped in ${minutes} min`,
  );
  if (form === 'short') console.log('this was the short form; the whole one, which CI runs: npm test -- all');
  process.exitCode = totals.fail === 0 ? 0 : 1;
}
