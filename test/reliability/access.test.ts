// Who may not report links cannot; what is planted in the spool harms nobody; clients that are no good delay nobody else.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { isLong } from '../form.ts';
import { type Lab, scenario } from '../netns/lab.ts';
import { sayFigures } from './figure.ts';

const profiles = `
  [link.work]
  server = "none"
  networks = ["198.18.0.0/24"]
`;
const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];

/** What an ordinary user tries; each has to fail with this. */
const attempts: Record<string, string> = {
  'report a link': 'socat -u OPEN:/dev/null UNIX-CONNECT:run/hook.sock',
  'command the daemon': 'socat -u OPEN:/dev/null UNIX-CONNECT:run/control.sock',
  'replace the socket': 'mv run/hook.sock run/mine',
  'delete the socket': 'rm run/hook.sock',
  'list the spool': 'ls run/spool',
  'read an event': 'cat run/spool/0000000007',
  'plant an event': 'echo x >run/spool/0000000001',
  'plant a link in the spool': 'ln -s /etc/passwd run/spool/0000000001',
  'replace the spool': 'mv run/spool run/mine',
  'read the state': 'cat state/state.json',
  'write the state': 'echo x >state/state.json',
  'list the state': 'ls state state/links',
  'plant a state': 'echo x >state/links/4.json',
};

/** Stories that are told side by side; what is measured is measured after them. */
const others: Promise<void>[] = [];
function beside(name: string, story: Parameters<typeof scenario>[1]): void {
  others.push(
    new Promise(resolve => {
      scenario(name, async (lab, t) => {
        t.teardown(resolve);
        await story(lab, t);
      });
    }),
  );
}

for (const [layout, runMode] of [
  ['made by the daemon', undefined],
  ['made by tmpfiles.d, for all to enter', '755'],
] as const) {
  beside(`an ordinary user, in a run directory ${layout}`, async (lab, t) => {
    // The tier netns-user runs this file without root, where setuid is refused; as root it runs in the tier reliability.
    if (process.getuid?.() !== 0) return void t.pass('', { skip: 'needs root, to become an ordinary user' });
    await lab.machine({ profiles, daemon: false });
    const { directory } = lab;
    await lab.run('rmdir', `${directory}/state`, `${directory}/run`);
    if (runMode !== undefined) await lab.run('mkdir', '-m', runMode, `${directory}/run`);
    await lab.run('chmod', '755', directory);
    await lab.startDaemon();
    await lab.up('ppp0');
    await lab.run('/bin/sh', '-c', `echo x >${directory}/run/spool/rubbish`);
    const before = await lab.table();
    let refused = 0;
    for (const [what, command] of Object.entries(attempts)) {
      const tried = await lab.start([...nobody, '/bin/sh', '-c', `cd ${directory} && ${command}`]);
      t.not(tried.exitCode, 0, `cannot ${what}`);
      t.match(tried.stderr, /Permission denied|Operation not permitted/, what);
      if (tried.exitCode !== 0) refused++;
    }
    t.equal(await lab.table(), before, 'nothing moved');
    await lab.down('ppp0');
    sayFigures(t, `access ordinary-user ${runMode ?? 'own'}`, {
      tried: Object.keys(attempts).length,
      refused,
    });
  });
}

/** What is put into the spool, below $spool, with $victim a directory that is none of the daemon's business. */
const plants = `
  ln -s $victim/file $spool/0000000001
  ln -s $victim $spool/0000000002
  ln -s $victim/nothing $spool/0000000003
  ln -s 0000000004 $spool/0000000004
  mkfifo $spool/0000000005
  mkdir -p $spool/../six/full; mv -T $spool/../six $spool/0000000006
  mknod $spool/0000000007 c 1 5 2>/dev/null || true
  truncate -s 1T $spool/0000000008
  ln $victim/file $spool/0000000009
  socat UNIX-LISTEN:$spool/0000000010,unlink-close=0 OPEN:/dev/null & sleep 0.2; kill $!
  : >$spool/0000000011
  (umask 777; head -c 4096 /dev/urandom >$spool/0000000012)
  printf 'version=1\\nevent=ip-up\\nid=00000000-0000-4000-8000-000000000001\\ninterface=-batch\\n\\n' >$spool/0000000013
  ln -s /dev/zero $spool/0000000014
  ln -s /proc/self/mem $spool/0000000015
  ln -s $victim/file "$spool/$(printf '\\033[2J')"
`;
/** Where the daemon would put things, there are links that lead elsewhere. */
const detours = {
  'links where its own directories should be':
    'rm -rf $spool/.taken; ln -s $victim $spool/rejected; ln -s $victim $spool/.taken',
  'fifos where its own directories should be': 'rm -rf $spool/.taken; mkfifo $spool/rejected $spool/.taken',
  'nothing else': ':',
};

for (const [what, detour] of Object.entries(detours)) {
  for (const when of ['before it starts', 'while it runs'] as const) {
    beside(`planted in the spool ${when}, and ${what}`, async (lab, t) => {
      await lab.machine({ profiles, ...(when === 'while it runs' ? {} : { daemon: false }) });
      await lab.connect('ppp0');
      const variables = `spool=${lab.directory}/run/spool; victim=${lab.directory}/victim`;
      const look = `cd ${lab.directory}/victim && find . -type f -exec md5sum {} + | sort && find . -printf '%p %y %m %u %l\\n' | sort`;
      const prepare = `mkdir -p $spool $victim; echo precious >$victim/file
        for n in 1 5 13; do echo precious >$victim/$(printf %010d $n); done
        touch -d '2 hours ago' $victim/*; echo x >$victim/00000000-0000-4000-8000-00000000000a`;
      await lab.run('/bin/sh', '-euc', `${variables}; ${prepare}`);
      const before = await lab.run('/bin/sh', '-euc', look);
      await lab.run('/bin/sh', '-euc', `${variables}; ${detour}; ${plants}`);
      if (when === 'before it starts') await lab.startDaemon();
      const memory = await residentOf(lab);

      const { seconds } = await lab.fine(lab.hook('ip-up', 'ppp0'));
      t.ok(seconds < 2, `an honest event is answered in ${seconds} s`);
      t.match(await lab.ip('route show 198.18.0.0/24'), 'dev ppp0', 'and applied');
      const numbers = async () =>
        (await readdir(join(lab.directory, 'run/spool'))).filter(name => /^\d{10}$/.test(name));
      await lab.until(async () => (await numbers()).length <= 1).catch(() => undefined);
      // A directory is not deleted where it cannot be put aside.
      t.same(await numbers(), what === 'nothing else' ? [] : ['0000000006'], 'none of it is read twice');
      t.equal(await lab.run('/bin/sh', '-euc', look), before, 'nothing elsewhere was touched');
      const grown = (await residentOf(lab)) - memory;
      t.ok(grown < 20_000, `the daemon has grown by ${grown} KiB`);
      const said = lab.log().length;
      await lab.fine(lab.hook('ip-down', 'ppp0'));
      t.ok(lab.log().length - said < 10, 'and it goes on in peace', { log: lab.log().slice(said) });
      sayFigures(
        t,
        `access planted ${when} ${what}`.replaceAll(' ', '-').replace('access-planted-', 'access '),
        {
          plants: plants.trim().split('\n').length,
          harmed: Number((await lab.run('/bin/sh', '-euc', look)) !== before),
          'answered-s': seconds.toFixed(2),
        },
      );
    });
  }
}

beside('thousands of files in the spool that are no events', async (lab, t) => {
  await lab.machine({ profiles, daemon: false });
  await lab.connect('ppp0');
  const spool = `${lab.directory}/run/spool`;
  const rubbish = 3000;
  await lab.run('/bin/sh', '-euc', `mkdir -p ${spool}; cd ${spool}; seq -f %010.0f ${rubbish} | xargs touch`);
  const spooled = await lab.hook('ip-up', 'ppp0');
  t.equal(spooled.stderr, '');
  await lab.startDaemon();
  const { seconds } = await lab.fine(lab.hook('ip-up', 'ppp0'));
  t.ok(seconds < 1.5, `an honest event is answered in ${seconds} s`);
  t.match(await lab.ip('route show 198.18.0.0/24'), 'dev ppp0', 'and applied');
  const waiting = (await readdir(spool)).filter(name => /^\d{10}$/.test(name));
  t.same(waiting, []);
  t.equal((await readdir(`${spool}/rejected`)).length, 1000, 'some are kept, to look at');
  t.ok(lab.log().length < 30, 'the journal is not filled', { log: lab.log() });
  sayFigures(t, 'access rubbish', { files: rubbish, 'answered-s': seconds.toFixed(2) });
});

const crowds = {
  silent: 500,
  slow: 500,
  deaf: 500,
  flooding: 500,
  'silent, and too many': 2000,
};

scenario('a crowd of clients that are no good', async (lab, t) => {
  await Promise.all(others);
  await lab.machine({ profiles });
  await lab.connect('ppp0');
  const alone = await timeHooks(lab, t, isLong ? 200 : 20);
  sayFigures(t, 'access alone', { 'hook-ms': alone.median, 'slowest-ms': alone.worst });
  for (const [what, count] of Object.entries(crowds)) {
    const kind = what.split(',')[0] ?? '';
    const crowd = lab.start([
      process.execPath,
      join(import.meta.dirname, 'access-clients.mjs'),
      join(lab.directory, 'run/hook.sock'),
      kind,
      String(count),
    ]);
    await new Promise(resolve => crowd.stdout.once('data', resolve));
    const crowded = await timeHooks(lab, t, isLong ? 200 : 20);
    crowd.stdin.end();
    const { stdout } = await crowd;
    const [here = 0, came = 0] = (stdout.split('\n').at(-1) ?? '').split(' ').map(Number);
    // What floods is shut out at once, and comes again and again; of too many some are turned away.
    if (kind === 'flooding') t.ok(came > 2 * count, `${what}: they came ${came} times`, { stdout });
    else
      t.ok(here > count * (count > 1000 ? 0.4 : 0.8), `${what}: ${here} were there at any moment`, {
        stdout,
      });
    t.ok(crowded.median < 2 * alone.median + 20, `${what}: ${crowded.median} ms, alone ${alone.median} ms`);
    t.ok(crowded.worst < 2000, `${what}: nobody gives up: ${crowded.worst} ms`);
    await lab.until(async () => (await descriptorsOf(lab)) < 100, 10_000).catch(() => undefined);
    const open = await descriptorsOf(lab);
    t.ok(open < 100, `${what}: nothing of them stays: ${open} descriptors are open`);
    sayFigures(t, `access ${what.replaceAll(/\W+/g, '-')}`, {
      clients: count,
      'there-at-once': here,
      came,
      'hook-ms': crowded.median,
      'slowest-ms': crowded.worst,
      spooled: crowded.spooled,
    });
  }
});

/** Ups and downs by the hooks, one after the other: how long each takes until it is answered and applied, in milliseconds. */
async function timeHooks(lab: Lab, t: Test, pairs: number) {
  const took: number[] = [];
  const spooledBefore = spooledIn(lab.log());
  for (let pair = 0; pair < pairs; pair++) {
    for (const [event, wanted] of [
      ['ip-up', 1],
      ['ip-down', 0],
    ] as const) {
      const started = performance.now();
      await lab.fine(lab.hook(event, 'ppp0'));
      const isSo = async () => (await lab.lines('route show 198.18.0.0/24')).length === wanted;
      await lab.until(isSo).catch(() => t.fail(`${event} was not applied`));
      took.push(performance.now() - started);
    }
    await sleep(20);
  }
  took.sort((a, b) => a - b);
  return {
    median: Math.round(took[Math.floor(took.length / 2)] ?? 0),
    worst: Math.round(took.at(-1) ?? 0),
    spooled: spooledIn(lab.log()) - spooledBefore,
  };
}

function spooledIn(log: readonly string[]): number {
  return log.reduce((sum, line) => sum + Number(/applying (\d+) event/.exec(line)?.[1] ?? 0), 0);
}

/** Resident memory of the daemon, in KiB. */
async function residentOf(lab: Lab): Promise<number> {
  const status = await readFile(`/proc/${lab.daemonPid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
}

async function descriptorsOf(lab: Lab): Promise<number> {
  return (await readdir(`/proc/${lab.daemonPid}/fd`)).length;
}
