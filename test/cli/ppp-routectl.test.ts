// ppp-routectl as an administrator meets it: the built program, the built daemon and the hooks, on a machine of their own.
import { chmod, chown, readdir, readFile, stat } from 'node:fs/promises';
import net from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Test } from 'tap';
import { base, type Lab, linesOf, replaceProfile, scenario } from '../netns/lab.ts';
import { ctl, environmentOf, program } from './ctl.ts';

const isRoot = process.getuid?.() === 0;
/** Runs a command without any capability, as an ordinary user would. */
const powerless = ['setpriv', '--inh-caps=-all', '--bounding-set=-all'];

/** It ends with this status and prints these lines. */
async function prints(lab: Lab, t: Test, words: string, exitCode: number, text: string): Promise<void> {
  const { stdout, stderr, ...ended } = await ctl(lab, words);
  t.same(
    { lines: linesOf(stdout + stderr), ...ended },
    { lines: linesOf(text), exitCode },
    `ppp-routectl ${words}`,
  );
}

async function json(lab: Lab, t: Test, words: string, exitCode = 0) {
  const ended = await ctl(lab, `${words} --json`);
  t.equal(ended.exitCode, exitCode, `ppp-routectl ${words} --json: ${ended.stderr}`);
  return JSON.parse(ended.stdout);
}

scenario('status, routes and explain, before and while the link is up', async (lab, t) => {
  await lab.machine();
  await prints(lab, t, 'status', 0, 'fine: no link is up');
  await lab.up('ppp0');
  await prints(
    lab,
    t,
    'status',
    0,
    `
      fine: work: ppp0 up, default via ppp0
      ppp0 (work)
      ipv4        10.99.0.2 -> 10.99.0.1
      mode        replace, priority 0
      server      203.0.113.5 (kept on the uplink)
      pppd        process N
      known by    interface index N, ipparam work
      Saved, and put back when the last link goes down
      default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100
    `,
  );
  await prints(
    lab,
    t,
    'routes',
    0,
    `
      IPv4, table main
      Destination  Gateway      Genmask          Flags  Metric  Iface  Meaning
      0.0.0.0      0.0.0.0      0.0.0.0          U      0       ppp0   the default of ppp0 (work): what no longer prefix covers goes through the tunnel
      10.99.0.1    0.0.0.0      255.255.255.255  UH     0       ppp0   the far end of ppp0 (work)
      192.168.1.0  0.0.0.0      255.255.255.0    U      0       eth0   the network on eth0: reached directly, without a gateway
      203.0.113.5  192.168.1.1  255.255.255.255  UGH    0       eth0   the VPN server of ppp0 (work): pinned to the uplink, or the tunnel would run through itself
      Saved while ppp0 (work) is up, and put back afterwards
      default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100
      Flags: U the route is up; G goes by a gateway; H leads to one host
    `,
  );
  await prints(
    lab,
    t,
    'explain 203.0.113.5',
    0,
    `
      203.0.113.5 goes by the uplink, by the gateway 192.168.1.1 on eth0
      203.0.113.5 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
      the VPN server of ppp0 (work): pinned to the uplink, or the tunnel would run through itself
      Why:
      rule 0, from all lookup local: is not an address of this machine
      rule 32766, from all lookup main: finds it in table main
      203.0.113.5 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
      taken
      default dev ppp0 proto 173 scope link
      shorter prefix: /0 says less than /32
    `,
  );
  const headline = async (words: string) => (await ctl(lab, words)).stdout.split('\n')[0];
  t.equal(await headline('explain 198.51.100.1'), '198.51.100.1 goes through the link ppp0 (work)');
  t.equal(await headline('explain 192.168.1.77'), '192.168.1.77 is reached directly on eth0');
  t.equal(await headline('explain 192.168.1.10'), '192.168.1.10 is this machine itself, on eth0');
  t.match(await headline('explain localhost'), /^(127\.0\.0\.1|::1) is this machine itself, on lo/, 'a name');
  await prints(
    lab,
    t,
    'explain 2001:db8::1',
    1,
    `
      No route leads to 2001:db8::1: sending fails with "Network is unreachable"
      Why:
      rule 0, from all lookup local: is not an address of this machine
      rule 32766, from all lookup main: finds nothing in table main
    `,
  );
  await lab.down('ppp0');
  t.equal(
    await headline('explain 198.51.100.1'),
    '198.51.100.1 goes by the uplink, by the gateway 192.168.1.1 on eth0',
  );
});

scenario('--json is for programs', async (lab, t) => {
  await lab.machine({ profiles: replaceProfile.replace('"replace"', '"table"') });
  await lab.up('ppp0');
  t.match(await json(lab, t, 'status'), {
    degraded: false,
    troubles: [],
    links: [{ interface: 'ppp0', says: 'work: ppp0 up, default via ppp0 in its own table' }],
    savedDefaults: [],
  });
  const { tables, rules } = await json(lab, t, 'routes');
  t.match(
    tables.map(({ family, table, routes }: { family: string; table: string; routes: { role: string }[] }) => [
      family,
      table,
      routes.map(({ role }) => role),
    ]),
    [
      ['inet', 'main', ['uplink-default', 'far-end', 'lan']],
      ['inet', '17300', ['link-default']],
    ],
  );
  t.same(
    rules.filter(({ own }: { own: boolean }) => own).map(({ priority }: { priority: number }) => priority),
    [17300, 17310, 17320],
  );
  t.match(await json(lab, t, 'explain 198.51.100.1'), {
    asked: '198.51.100.1',
    answers: [
      {
        address: '198.51.100.1',
        verdict: 'routed',
        route: /^default dev ppp0 table 17300 /,
        role: 'link-default',
        link: 'ppp0',
        table: '17300',
        nexthops: [{ dev: 'ppp0' }],
        steps: [
          { outcome: 'no match' },
          {},
          { priority: 17310, outcome: 'suppressed' },
          { priority: 17320, outcome: 'chosen' },
        ],
      },
    ],
  });
  await lab.stopDaemon();
  t.same(
    await ctl(lab, 'status --json').then(({ stdout }) => stdout),
    '',
    'nothing that could be mistaken for an answer',
  );
});

scenario('reload says whether the configuration is used; trouble is exit status 1', async (lab, t) => {
  await lab.machine();
  await prints(lab, t, 'reload', 0, `The configuration was read. no link is up`);
  await lab.write('etc/ppp-routed.toml', '[link.work]\ndefault-rout = "replace"\n');
  const { exitCode, stdout } = await ctl(lab, 'reload');
  t.equal(exitCode, 1);
  t.match(stdout, /^Refused: the configuration is not used.* DIR\/etc\/ppp-routed\.toml:2: .*default-rout/);
  const status = await ctl(lab, 'status');
  t.equal(status.exitCode, 1);
  t.match(
    status.stdout,
    /^degraded: no link is up\n\nTrouble\n {2}the configuration is not used, .*\n {4}Correct the file/,
  );
  t.match(await json(lab, t, 'status', 1), { degraded: true, troubles: [/^the configuration is not used/] });
  await lab.write('etc/ppp-routed.toml', replaceProfile);
  t.equal((await ctl(lab, 'reload')).exitCode, 0);
  t.equal((await ctl(lab, 'status')).exitCode, 0);
});

scenario('wrong usage is exit status 2 and says what is right', async (lab, t) => {
  const rows: [words: string, says: RegExp][] = [
    ['', /Usage: ppp-routectl/],
    ['frobnicate', /unknown command 'frobnicate'/],
    ['status --loud', /unknown option '--loud'/],
    ['status now', /too many arguments/],
    ['explain', /missing required argument 'address'/],
    ['explain 300.1.2.3', /"300\.1\.2\.3" is neither an address nor a host name\n {2}Give one address/],
    ['explain 10.0.0.0/8', /"10\.0\.0\.0\/8" is neither/],
    ['explain fe80::1%eth0', /"fe80::1%eth0" is neither/],
    ['explain 0.0.0.0', /nothing is sent to 0\.0\.0\.0/],
  ];
  for (const [words, says] of rows) {
    const { exitCode, stdout, stderr } = await ctl(lab, words);
    t.equal(exitCode, 2, `ppp-routectl ${words}`);
    t.match(stderr, says);
    t.equal(stdout, '');
  }
  for (const words of ['--help', '--version', 'explain --help'])
    t.equal((await ctl(lab, words)).exitCode, 0, words);
});

scenario('every command runs on what Node.js 18 has', async (lab, t) => {
  await lab.machine();
  await lab.up('ppp0');
  const node18 = ['env', `NODE_OPTIONS=--require=${join(import.meta.dirname, 'node18.cjs')}`];
  for (const words of [
    'status',
    'routes',
    'explain 198.51.100.1',
    'plan ip-down ppp0',
    'plan ip-up ppp1 /dev/pts/1 38400 10.98.0.2 10.98.0.1 work',
    'workstations ppp0',
    'restore',
    'reload',
  ])
    t.same(await ctl(lab, words, node18), await ctl(lab, words), words);
});

scenario('no daemon is exit status 3 and says what to do', async (lab, t) => {
  await lab.machine({ daemon: false });
  for (const words of ['status', 'routes', 'explain 8.8.8.8', 'reload', 'status --watch']) {
    await prints(
      lab,
      t,
      words,
      3,
      `
        ppp-routectl: no ppp-routed answers at DIR/run/control.sock
        Start it: systemctl start ppp-routed
      `,
    );
  }
  await lab.startDaemon();
  await chmod(join(lab.directory, 'run/control.sock'), 0);
  t.same(await ctl(lab, 'restore', powerless), {
    exitCode: 3,
    stdout: '',
    stderr:
      'ppp-routectl: you are not allowed to use DIR/run/control.sock\n  Use sudo, or have root put you into the group ppp-routed',
  });
});

scenario('a daemon that hangs, and one that is not understood', async (lab, t) => {
  await lab.machine();
  await lab.run('kill', '-STOP', String(lab.daemonPid));
  t.same(await ctl(lab, 'restore'), {
    exitCode: 1,
    stdout: '',
    stderr:
      'ppp-routectl: ppp-routed did not answer at DIR/run/control.sock within 5 s\n  It hangs. Restart it, routes stay: systemctl restart ppp-routed',
  });
  await lab.stopDaemon('SIGKILL');
  const server = net.createServer(socket =>
    socket.on('data', () => socket.end('{"answer": {"links": 5}}\n')),
  );
  await lab.run('rm', join(lab.directory, 'run/control.sock'));
  await new Promise<void>(resolve => server.listen(join(lab.directory, 'run/control.sock'), resolve));
  t.teardown(() => server.close());
  const { exitCode, stderr } = await ctl(lab, 'status');
  t.equal(exitCode, 1);
  t.match(stderr, /the daemon's answer is not understood: status: .*\n {2}It may be of another version/);
});

scenario(
  '--watch prints anew whenever something changes, and waits for a daemon that restarts',
  async (lab, t) => {
    await lab.machine();
    const watcher = lab.start([process.execPath, program, 'status', '--watch', '--json'], environmentOf(lab));
    let seen = '';
    watcher.stdout?.on('data', chunk => {
      seen += chunk;
    });
    const says = (text: string) => lab.until(() => seen.split('\n').at(-2)?.includes(text) ?? false);
    await says('"status":"no link is up"');
    await lab.up('ppp0');
    await says('"status":"work: ppp0 up');
    await lab.stopDaemon();
    await says('{"error":"no ppp-routed answers at');
    await lab.startDaemon();
    await says('"status":"work: ppp0 up');
    watcher.kill('SIGINT');
    const { exitCode } = await watcher;
    t.equal(exitCode, 0);
    t.equal(linesOf(seen).length, 4, 'once for every change', { seen });
  },
);

scenario('restore: the daemon puts the uplink back and leaves the link alone', async (lab, t) => {
  await lab.machine();
  await lab.connect('ppp0');
  const before = await lab.table();
  await lab.fine(lab.hook('ip-up', 'ppp0'));
  await prints(
    lab,
    t,
    'restore',
    0,
    `
      The default of the uplink is in place:
      default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100
      Left alone until they come up anew: ppp0 (work)
    `,
  );
  t.equal(await lab.table(), before, 'byte for byte as before');
  t.match((await ctl(lab, 'status')).stdout, /released +left alone until it comes up anew/);
  await lab.fine(lab.hook('ip-up', 'ppp0'));
  await lab.ip('link set eth0 down');
  const { exitCode, stdout } = await ctl(lab, 'restore');
  t.equal(exitCode, 1, 'trouble is left');
  t.match(stdout, /^No default route of an uplink is there/);
  t.match(stdout, /Trouble: the saved default .* cannot be restored yet: .*\n {2}Bring its device up/);
});

for (const mode of ['replace', 'metric', 'half', 'table']) {
  scenario(`restore without a daemon, after it was killed: ${mode}`, async (lab, t) => {
    await lab.machine({ profiles: replaceProfile.replace('"replace"', `"${mode}"`) });
    await lab.connect('ppp0');
    const before = await lab.table();
    await lab.fine(lab.hook('ip-up', 'ppp0'));
    t.not(await lab.table(), before, 'the link has the traffic');
    await lab.stopDaemon('SIGKILL');
    const { exitCode, stdout, stderr } = await ctl(lab, 'restore');
    t.same({ exitCode, stderr }, { exitCode: 0, stderr: '' });
    t.match(
      linesOf(stdout),
      [
        'No daemon answers; putting the uplink back from the state file.',
        mode === 'replace'
          ? /^restoring the uplink's default: ip route append default via 192\.168\.1\.1 /
          : /^deleting a r/,
      ],
      'what was done',
      { stdout },
    );
    t.match(stdout, /The default of the uplink is in place:\n {2}default via 192\.168\.1\.1 dev eth0 /);
    t.equal(await lab.table(), before, 'byte for byte as before');
    t.equal((await ctl(lab, 'restore')).exitCode, 0, 'and once more');
    await lab.startDaemon();
    t.equal(await lab.table(), before, 'a daemon that starts later leaves the link alone');
    await lab.fine(lab.hook('ip-up', 'ppp0'));
    t.not(await lab.table(), before, 'until it comes up anew');
  });
}

scenario('restore without a daemon lifts the dark that a lost link has left', async (lab, t) => {
  // Nothing is saved in this mode: only the links in the state file change.
  await lab.machine({ profiles: `${replaceProfile.replace('"replace"', '"metric"')}on-loss = "block"\n` });
  await lab.up('ppp0');
  await lab.ip('link del ppp0');
  await lab.says(/ppp0 is gone; .* nothing leaves/);
  const { exitCode, stdout } = await ctl(lab, 'explain 198.51.100.1');
  t.equal(exitCode, 1);
  t.match(
    stdout,
    /^198\.51\.100\.1 is refused: blocked: ppp0 \(work\) is lost, and nothing may leave until it returns/,
  );
  t.match((await ctl(lab, 'status')).stdout, /\n {2}lost +nothing leaves until it returns/);
  await lab.stopDaemon('SIGKILL');
  t.equal((await ctl(lab, 'restore')).exitCode, 0);
  await lab.restored();
  await lab.startDaemon();
  await lab.restored();
});

scenario('restore without a daemon where there is little or nothing to go by', async (lab, t) => {
  await lab.machine({ daemon: false });
  const stays = `
    No daemon answers; putting the uplink back from the state file.
    The default of the uplink is in place:
    default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100
  `;
  await prints(lab, t, 'restore', 0, stays);
  await lab.write(
    'state/state.json',
    JSON.stringify({
      schema: 1,
      bootId: '0'.repeat(32),
      savedDefaults: [{ family: 'inet', route: 'default via 192.168.1.254 dev eth0' }],
      links: [],
    }),
  );
  const { exitCode, stdout } = await ctl(lab, 'restore');
  t.equal(exitCode, 0);
  t.match(stdout, /state is of an earlier boot and is history now/);
  await lab.shows(base);
  await lab.write('state/state.json', 'cut sho');
  t.match((await ctl(lab, 'restore')).stdout, /warning: DIR\/state\/state\.json is not JSON, or cut short/);
  await lab.shows(base);
  t.equal(await readFile(join(lab.directory, 'state/state.json.rejected'), 'utf8'), 'cut sho', 'set aside');
  await prints(lab, t, 'restore', 0, stays);
});

scenario('restore without a daemon where the state cannot be written', async (lab, t) => {
  await lab.machine();
  await lab.connect('ppp0');
  const before = await lab.table();
  await lab.fine(lab.hook('ip-up', 'ppp0'));
  await lab.stopDaemon('SIGKILL');
  const state = join(lab.directory, 'state');
  await lab.run('mount', '--bind', state, state);
  await lab.run('mount', '-o', 'remount,bind,ro', state);
  const { exitCode, stdout } = await ctl(lab, 'restore');
  t.equal(exitCode, 1);
  t.match(
    stdout,
    /Trouble: the state cannot be written to .*; a daemon that starts takes the links up again\n {2}Make room/,
  );
  t.equal(await lab.table(), before, 'the uplink is back all the same');
});

scenario('restore without a daemon leaves the state to its owner', async (lab, t) => {
  if (!isRoot) return void t.comment('only root can be another user than the daemon');
  await lab.machine();
  await lab.up('ppp0');
  await lab.stopDaemon('SIGKILL');
  const owner = 65534;
  const state = join(lab.directory, 'state');
  await chmod(lab.directory, 0o755);
  const [file = ''] = await readdir(join(state, 'links'));
  const names = ['', 'state.json', 'links', `links/${file}`];
  for (const name of names) await chown(join(state, name), owner, owner);
  // Debian 13's Node, linked with the system's libuv, never lets a process change its user; with this no other does.
  const { exitCode, stdout, stderr } = await ctl(lab, 'restore', ['env', 'UV_USE_IO_URING=1']);
  t.same({ exitCode, stderr }, { exitCode: 0, stderr: '' });
  t.match(stdout, /The default of the uplink is in place:\n {2}default via 192\.168\.1\.1 dev eth0 /);
  for (const name of names) t.match(await stat(join(state, name)), { uid: owner, gid: owner }, name);
  t.match(JSON.parse(await readFile(join(state, names[3] ?? ''), 'utf8')), {
    link: { interface: 'ppp0', released: true },
  });
  const without = ['setpriv', '--inh-caps=-setuid', '--bounding-set=-setuid'];
  t.match(await ctl(lab, 'restore', without), { exitCode: 0, stderr: '' }, 'nobody can become the owner');
});

scenario('restore without a daemon and without ip says so', async (lab, t) => {
  await lab.machine({ daemon: false });
  const { exitCode, stderr } = await ctl(lab, 'restore', ['env', 'PATH=/nowhere']);
  t.equal(exitCode, 1);
  t.match(stderr, /^ppp-routectl: ip cannot be asked: .*\n {2}See that `ip` and `stdbuf` .* can be run/);
});

scenario('restore without a daemon is for root', async (lab, t) => {
  await lab.machine({ daemon: false });
  const target = join(lab.directory, 'run');
  await chmod(lab.directory, 0o755);
  await chmod(target, 0o755);
  const asUser = isRoot ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : ['env'];
  const [command = '', ...words] = [...asUser, process.execPath, program, 'restore'];
  const { exitCode, stderr } = await execa(command, words, {
    reject: false,
    env: environmentOf(lab),
    cwd: '/',
  });
  t.equal(exitCode, 3);
  t.match(stderr, /without it only root can change routes\n {2}Run: sudo ppp-routectl restore/);
});
