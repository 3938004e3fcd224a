// Runs the files of the tiers, side by side where that changes nothing, and says each as it ends.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { runFile, runProcess } from './test-file.mjs';

/** `entries`: tiers with the paths to run. Returns what became of each file, with its tier's name. */
export async function runJobs(entries, { root, variables }) {
  const copies = new Map();
  try {
    const jobs = entries.flatMap(entry =>
      filesOf(root, entry.paths).map(file => ({
        ...placeFor(entry),
        name: entry.name,
        tier: entry.tier,
        file,
      })),
    );
    const is = {
      alone: ({ tier, file }) => tier.alone?.includes(file) === true,
      waits: job => job.tier.waits === true && !is.alone(job),
    };
    const results = [];
    // The guests' system takes half a minute, mostly of waiting for the network.
    const rootfs = entries.some(({ programs }) => programs.includes('mmdebstrap'))
      ? runProcess([join(root, 'test/vm/build-rootfs')], { cwd: root })
      : undefined;
    const phases = [
      { jobs: jobs.filter(job => !is.alone(job) && !is.waits(job)), width: availableParallelism() },
      { jobs: jobs.filter(is.waits), width: 2 * availableParallelism(), after: rootfs },
      { jobs: jobs.filter(is.alone), width: 1 },
    ];
    for (const { jobs, width, after } of phases) {
      await after;
      results.push(...(await runPool(jobs, width)));
    }
    return results;
  } finally {
    for (const copy of copies.values()) rmSync(copy, { recursive: true, force: true });
  }

  function placeFor({ name, tier, place }) {
    const settings = { root, variables, seconds: tier.seconds };
    if (place === 'guest')
      return {
        ...settings,
        // Slow: 50 to 100 ms a fork.
        seconds: 600,
        variables: { ...variables, TEST_FORM: 'short' },
        prefix: [process.execPath, join(root, 'scripts/guest.mjs')],
      };
    if (tier.as === undefined) return settings;
    if (!copies.has(name)) copies.set(name, copyFor(root, tier.as));
    const copy = copies.get(name);
    return {
      ...settings,
      root: copy,
      prefix: ['setpriv', `--reuid=${tier.as}`, `--regid=${tier.as}`, '--clear-groups', '--'],
      variables: { ...variables, HOME: copy, TMPDIR: join(copy, 'tmp') },
    };
  }
}

async function runPool(jobs, width) {
  const waiting = [...jobs];
  const results = [];
  const work = async () => {
    for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
      const result = { name: job.name, ...(await runFile(job.file, job)) };
      show(result);
      results.push(result);
    }
  };
  await Promise.all(Array.from({ length: width }, work));
  return results;
}

/** A line for a file that passed, and its figures; for one that did not, everything that it said but its successes. */
function show({ name, file, counts: { pass, fail, skip }, seconds, report }) {
  for (const line of report) console.log(fail === 0 ? `     ${line}` : line);
  const words = [`${pass} passed`, fail > 0 && `${fail} failed`, skip > 0 && `${skip} skipped`];
  const text = `${words.filter(Boolean).join(', ')}, ${seconds.toFixed(1)} s`;
  console.log(`${fail === 0 ? 'ok  ' : 'FAIL'} ${name} ${file}: ${text}`);
}

function filesOf(root, paths) {
  return paths.flatMap(path => {
    if (path.endsWith('.test.ts')) return [path];
    return readdirSync(join(root, 'test', path))
      .filter(name => name.endsWith('.test.ts'))
      .sort()
      .map(name => join(path, name));
  });
}

/** The checkout may be in a directory that only root can enter: a copy of links for another user. */
function copyFor(root, uid) {
  const copy = mkdtempSync(join(existsSync('/var/tmp') ? '/var/tmp' : tmpdir(), 'ppp-routed-test-'));
  const names = readdirSync(root).filter(name => !['.git', '.tap', 'build'].includes(name));
  const paths = names.map(name => join(root, name));
  if (spawnSync('cp', ['-al', ...paths, copy]).status !== 0) execFileSync('cp', ['-a', ...paths, copy]);
  execFileSync('mkdir', ['-p', join(copy, 'tmp')]);
  execFileSync('find', [copy, '-type', 'd', '-exec', 'chown', `${uid}:${uid}`, '{}', '+']);
  return copy;
}
