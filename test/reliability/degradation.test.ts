// What is around the daemon is not whole: the journal, the clock, the configuration, /proc. Routes are set all the same.
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { countOf } from '../form.ts';
import { base, type Lab, onLink, replaceProfile, scenario } from '../netns/lab.ts';
import { environmentOf, program, startBy, statusThat } from './daemon.ts';
import { sayFigures } from './figure.ts';

const events = countOf({ short: 100, whole: 400, long: 4000 });
let rows = 0;
t.teardown(() => sayFigures(t, 'degradation', { rows, 'unread-events': events }));

scenario('the journal is gone: every line is an EPIPE', async (lab, t) => {
  await lab.machine({ daemon: false });
  const fifo = `${lab.directory}/journal`;
  await lab.run('mkfifo', fifo);
  const daemon = startBy(lab, `exec 3<>${fifo} 4>${fifo} 3<&-; exec "$@" >&4 4>&-`);
  await routesAreSet(lab);
  t.equal(daemon.exitCode ?? daemon.signalCode, null, 'it goes on');
  rows++;
});

scenario('nobody reads the journal: a full pipe holds nothing up', async (lab, t) => {
  await lab.machine({ daemon: false });
  const fifo = `${lab.directory}/journal`;
  await lab.run('mkfifo', fifo);
  const daemon = startBy(lab, `exec 3<>${fifo}; exec "$@" >&3`);
  await routesAreSet(lab);
  await lab.connect('ppp1', { ipparam: 'x'.repeat(200) });
  for (let i = 0; i < events; i++) {
    const what = i % 2 === 0 ? 'ip-up' : 'ip-down';
    const event = `version=1\nevent=${what}\ninterface=ppp1\nlocal=10.9.9.2\nremote=10.9.9.1\nipparam=${'x'.repeat(200)}\n\n`;
    const reply = await lab.say(event);
    if (!reply.startsWith('ok')) throw new Error(`event ${i}: ${reply}`);
  }
  await lab.ip('link del ppp1');
  await routesAreSet(lab);
  t.equal(daemon.exitCode ?? daemon.signalCode, null, 'it goes on');
  rows++;
});

scenario('no descriptors are left when ip is to be started anew', async (lab, t) => {
  await lab.machine();
  const pid = Number(lab.daemonPid);
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8'))
    .split(' ')
    .filter(Boolean)
    .map(Number);
  const limit = (most: number) => lab.run('prlimit', '--pid', String(pid), `--nofile=${most}:4096`);
  await limit(3);
  for (const child of children) process.kill(child, 'SIGKILL');
  await lab.says(/ip monitor ended \(.*EMFILE/);
  await limit(4096);
  await routesAreSet(lab);
  t.equal(lab.daemonPid, pid);
  rows++;
});

// A process of `ip` that is replaced meanwhile leaves three.
for (const spare of [-3, -2, -1, 0, 1]) {
  scenario(
    `${spare} descriptors more than are open: it goes on, and tells the service manager later`,
    async (lab, t) => {
      await lab.machine({ daemon: false });
      await lab.write('systemd-notify', `#!/bin/sh\nshift; printf '%s\\n' "$@" >>${lab.directory}/told\n`);
      await lab.run('chmod', '755', join(lab.directory, 'systemd-notify'));
      await lab.startDaemon({ PATH: `${lab.directory}:${process.env.PATH}`, NOTIFY_SOCKET: '/nonexistent' });
      await routesAreSet(lab);
      const told = async () =>
        (await readFile(join(lab.directory, 'told'), 'utf8')).trimEnd().split('\n').at(-1);
      const hasTold = async () => (await told()) === `STATUS=${(await lab.status()).status}`;
      await lab.until(hasTold);
      const pid = Number(lab.daemonPid);
      // Those of the last question and of the last process are closed by now.
      await sleep(300);
      const open = (await readdir(`/proc/${pid}/fd`)).length;
      const limit = (most: number) => lab.run('prlimit', '--pid', String(pid), `--nofile=${most}:4096`);
      await limit(open + spare);
      await lab.connect('ppp0');
      await lab.hook('ip-up', 'ppp0');
      await sleep(300);
      await limit(4096);
      await lab.comesToShow(onLink, 8000);
      await lab.until(hasTold, 3000).catch(() => undefined);
      t.ok(await hasTold(), 'what the service manager was told last is true');
      t.equal((await lab.status()).degraded, false, 'it goes on, and all is well');
      rows++;
    },
  );
}

scenario('the clock jumps by years, to and fro', async (lab, t) => {
  await lab.machine({ daemon: false });
  const jumping = `const now = Date.now; let jump = 0;
    setInterval(() => { jump = jump > 0 ? -3e11 : 3e11; }, 20).unref(); Date.now = () => now() + jump;`;
  const daemon = lab.start(
    [process.execPath, '--import', `data:text/javascript,${encodeURIComponent(jumping)}`, program],
    environmentOf(lab),
  );
  await routesAreSet(lab);
  // What only time brings about: the link is gone without a word, and an event waits in the spool.
  await lab.up('ppp0');
  await lab.ip('link del ppp0');
  await lab.comesToShow(base, 3000);
  t.equal(daemon.exitCode ?? daemon.signalCode, null, 'it goes on');
  rows++;
});

scenario('the configuration cannot be read at start: links keep what they came up with', async (lab, t) => {
  await lab.machine({});
  await lab.up('ppp0');
  await lab.stopDaemon();
  const file = join(lab.directory, 'etc/ppp-routed.toml');
  await rm(file);
  await mkdir(file);
  const began = performance.now();
  startBy(lab, 'exec "$@"');
  const { status } = await statusThat(lab, ({ degraded }) => degraded, 5000);
  t.ok(performance.now() - began < 5000, 'said within five seconds');
  t.match(status.status, /ppp-routed\.toml/, 'the status names the file');
  await lab.shows(onLink, 'and the link keeps its routes');
  await lab.down('ppp0');
  await lab.shows(base, 'and gives them back');
  await rm(file, { recursive: true });
  await lab.write('etc/ppp-routed.toml', replaceProfile);
  await statusThat(lab, ({ degraded }) => !degraded, 8000);
  await lab.up('ppp0');
  await lab.shows(onLink, 'the mended file is used');
  rows++;
});

for (const [what, script] of [
  ['there is no /proc/sys', 'mount -t tmpfs none /proc/sys'],
  ['there is no /proc', 'mount -t tmpfs none /proc'],
] as const) {
  scenario(what, async (lab, t) => {
    await lab.machine({ daemon: false });
    const daemon = lab.start(
      ['unshare', '-m', '/bin/sh', '-euc', `${script}; exec "$@"`, 'sh', process.execPath, program],
      { ...environmentOf(lab), PPP_ROUTED_BOOT_ID: '11111111-2222-3333-4444-555555555555' },
    );
    await routesAreSet(lab);
    t.equal(daemon.exitCode ?? daemon.signalCode, null, 'it goes on');
    rows++;
  });
}

scenario('nobody tells the boot id: no start, and a sentence that says what to do', async (lab, t) => {
  await lab.machine({ daemon: false });
  const sentence =
    /^[^\n]*the boot id is not known: [^\n]*; let \/proc\/sys\/kernel\/random\/boot_id be read, or set PPP_ROUTED_BOOT_ID /;
  for (const mask of [
    'mount -t tmpfs none /proc/sys',
    'mount --bind /dev/null /proc/sys/kernel/random/boot_id',
  ]) {
    const start = (...argv: string[]) =>
      lab.start(
        ['unshare', '-m', '/bin/sh', '-euc', `${mask}; exec "$@"`, 'sh', process.execPath, ...argv],
        environmentOf(lab),
      );
    const daemon = await start(program);
    t.match(`${daemon.stdout}${daemon.stderr}`, sentence, mask);
    t.match({ ...daemon }, { exitCode: 1, stdout: /^fatal: cannot start: .*$/, stderr: '' });
    const restore = await start(join(program, '../ppp-routectl.js'), 'restore');
    t.match(restore.stderr, sentence, 'ppp-routectl restore');
    t.match({ ...restore }, { exitCode: 1, stderr: /^ppp-routectl: .*\n {2}Nothing was changed$/ });
  }
  rows++;
});

scenario('/proc as the unit has it: subset=pid, hidepid=invisible', async (lab, t) => {
  await lab.machine({ daemon: false });
  const script = 'mount -t proc -o subset=pid,hidepid=invisible proc /proc; ! test -e /proc/sys; exec "$@"';
  // A /proc of one's own needs processes of one's own.
  const daemon = lab.start(
    [
      ...['unshare', '-m', '-p', '--fork', '--kill-child', '/bin/sh', '-euc', script, 'sh'],
      ...[process.execPath, program],
    ],
    { ...environmentOf(lab), PPP_ROUTED_BOOT_ID: '11111111222233334444555555555555' },
  );
  await routesAreSet(lab);
  t.equal(daemon.exitCode ?? daemon.signalCode, null, 'it goes on');
  rows++;
});

scenario('the service manager does not read what it is told', async (lab, t) => {
  await lab.machine({ daemon: false });
  const [socket, go] = [join(lab.directory, 'notify'), join(lab.directory, 'go')];
  const manager = lab.start(['perl', join(import.meta.dirname, 'manager.pl'), socket, go]);
  await new Promise(resolve => manager.stdout.once('data', resolve));
  const wrapper = join(import.meta.dirname, '../../systemd/notify-exec.pl');
  const daemon = startBy(lab, `exec perl ${wrapper} "$@"`, { NOTIFY_SOCKET: socket });
  // Each tells more than once, and the kernel keeps ten messages (net.unix.max_dgram_qlen).
  for (let i = 0; i < 12; i++) await routesAreSet(lab);
  await lab.up('ppp0');
  let told = '';
  manager.stdout.on('data', chunk => {
    told += chunk;
  });
  await lab.write('go', '');
  const { status } = await lab.status();
  await lab.until(() => told.trimEnd().endsWith(`STATUS=${status}`)).catch(() => undefined);
  t.equal(told.trimEnd().split('\n').at(-1), `STATUS=${status}`, 'what it hears last is true');
  t.match(told, /^READY=1/m, 'and that the daemon is ready');
  t.equal(daemon.exitCode ?? daemon.signalCode, null, 'it goes on');
  rows++;
});

/** All is well, and a link comes and goes. */
async function routesAreSet(lab: Lab): Promise<void> {
  await statusThat(lab, ({ degraded }) => !degraded, 10_000);
  await lab.up('ppp0');
  await lab.shows(onLink);
  await lab.down('ppp0');
  await lab.shows(base);
}
