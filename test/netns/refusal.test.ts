// What the daemon does not do: without a place for its state (row 16), on bad words, by a bad configuration.

import { setTimeout as sleep } from 'node:timers/promises';
import { base, ends6, type Lab, linkAlone, onLink, replaceProfile, scenario } from './lab.ts';

/** Ways in which the state cannot be written, and the ways back. */
const unwritable: Record<string, { prepare: string; spoil: string; mend: string; says: RegExp }> = {
  'its disk is full': {
    prepare: 'mount -t tmpfs -o size=64k tmpfs .',
    spoil: 'head -c 100k /dev/zero >filler || :',
    mend: 'rm filler',
    says: /no space left on device/,
  },
  'its disk is read-only': {
    prepare: 'mount --bind . .',
    spoil: 'mount -o remount,bind,ro .',
    mend: 'mount -o remount,bind,rw .',
    says: /read-only file system/,
  },
};

for (const [what, { prepare, spoil, mend, says }] of Object.entries(unwritable)) {
  scenario(`16. the state cannot be written at up: ${what}`, async (lab, t) => {
    const inState = (command: string) =>
      lab.run('/bin/sh', '-euc', `cd "$0"; ${command}`, `${lab.directory}/state`);
    await inState(prepare);
    await lab.machine();
    await inState(spoil);

    await lab.connect('ppp0');
    const before = await lab.table();
    const { exitCode, stderr } = await lab.hook('ip-up', 'ppp0');
    t.equal(exitCode, 0);
    t.match(stderr, /^ppp-routed: error STATE the state cannot be written to .*\/state\.json: /);
    t.match(stderr, says);
    await lab.shows(linkAlone);
    t.equal(await lab.table(), before, 'no route changes');
    t.match(await lab.status(), { degraded: true, status: /^degraded: the state cannot be written to / });

    await inState(mend);
    await lab.comesToShow(onLink, 6000);
    t.match(await lab.status(), { degraded: false, status: /^work: ppp0 up, default via ppp0; saved: / });
    await lab.down('ppp0');
    await lab.restored();
  });

  scenario(`16. the state cannot be written at down: ${what}`, async (lab, t) => {
    const inState = (command: string) =>
      lab.run('/bin/sh', '-euc', `cd "$0"; ${command}`, `${lab.directory}/state`);
    await inState(prepare);
    await lab.machine();
    await lab.up('ppp0');
    await inState(spoil);
    await lab.ip('link set ppp0 down');
    await lab.hook('ip-down', 'ppp0');
    await lab.ip('link del ppp0');
    await lab.restored(1000);
    await inState(mend);
    await lab.until(async () => !(await lab.status()).degraded, 6000);
    t.same((await lab.state()).savedDefaults, []);
    await lab.restored();
  });
}

/** An event of which one line is changed; the reply names the field. */
const event = (change: Record<string, string | undefined> = {}) => {
  const lines = {
    version: '1',
    event: 'ip-up',
    interface: 'ppp0',
    local: '10.99.0.2',
    remote: '10.99.0.1',
    ipparam: 'work',
    ...change,
  };
  const text = Object.entries(lines).map(([key, value]) => (value === undefined ? '' : `${key}=${value}\n`));
  return `${text.join('')}\n`;
};

const badEvents: Record<string, { bytes: string | Buffer; reply: RegExp }> = {
  'an interface name too long': {
    bytes: event({ interface: 'ppp0123456789abc' }),
    reply: /^error FIELD interface /,
  },
  'an interface name with a slash': {
    bytes: event({ interface: '../ppp0' }),
    reply: /^error FIELD interface /,
  },
  'an interface name with a blank': {
    bytes: event({ interface: 'ppp0 up' }),
    reply: /^error FIELD interface /,
  },
  'an option for an interface': { bytes: event({ interface: '-batch' }), reply: /^error FIELD interface / },
  'no interface': { bytes: event({ interface: undefined }), reply: /^error FIELD interface is missing/ },
  'an empty interface': { bytes: event({ interface: '' }), reply: /^error FIELD interface is missing/ },
  'no address': { bytes: event({ local: '10.99.0.256' }), reply: /^error FIELD local / },
  'an address and more': { bytes: event({ remote: '10.99.0.1/8' }), reply: /^error FIELD remote / },
  'an address of the other family': { bytes: event({ remote: 'fe80::1' }), reply: /^error FIELD remote / },
  'a bad index': { bytes: event({ ifindex: '-4' }), reply: /^error FIELD ifindex / },
  'a bad pid': { bytes: event({ pid: '1e3' }), reply: /^error FIELD pid / },
  'a bad speed': { bytes: event({ speed: 'fast' }), reply: /^error FIELD speed / },
  'a bad name server': { bytes: event({ dns1: 'dns.example' }), reply: /^error FIELD dns1 / },
  'an escape sequence': {
    bytes: event({ peername: '\x1b[31mred' }),
    reply: /^error FIELD peername .*no control/,
  },
  'a bell': { bytes: event({ ipparam: 'work\x07' }), reply: /^error FIELD ipparam / },
  'a null byte': { bytes: event({ linkname: 'a\0b' }), reply: /^error FIELD linkname / },
  'a carriage return': { bytes: event({ tty: '/dev/pts/3\r' }), reply: /^error FIELD tty / },
  'a control character of Latin 1': { bytes: event({ peername: '\u0085' }), reply: /^error FIELD peername / },
  'a value of 256 bytes': {
    bytes: event({ peername: 'x'.repeat(256) }),
    reply: /^error FIELD peername .*255/,
  },
  'no UTF-8': { bytes: Buffer.from(event({ peername: 'ÿ' }), 'latin1'), reply: /^error FIELD .*UTF-8/ },
  'no version': { bytes: event({ version: undefined }), reply: /^error VERSION .*missing/ },
  'a later version': { bytes: event({ version: '3' }), reply: /^error VERSION .*"3"/ },
  'an unknown event': { bytes: event({ event: 'ip-sideways' }), reply: /^error FIELD event / },
  'no event': { bytes: event({ event: undefined }), reply: /^error FIELD event is missing/ },
  'an unknown key': { bytes: event({ interfce: 'ppp0' }), reply: /^error FIELD "interfce" / },
  'a key twice': {
    bytes: event().replace('\n\n', '\nlocal=10.0.0.1\n\n'),
    reply: /^error FIELD local stands twice/,
  },
  'a key in capitals': { bytes: event({ LOCAL: '10.0.0.1' }), reply: /^error FIELD "LOCAL=10.0.0.1"/ },
  'no key': { bytes: event().replace('\n\n', '\nwork\n\n'), reply: /^error FIELD "work"/ },
  'an interface that the hook left out': {
    bytes: event({ interface: undefined, unusable: 'interface' }),
    reply: /^error FIELD interface /,
  },
  'five lines of a peers file': {
    bytes: event().replace('\n\n', `${'\npeer-option=pty "pptp 203.0.113.5"'.repeat(5)}\n\n`),
    reply: /^error FIELD .*peer-option/,
  },
  'over 4 KiB': {
    bytes: `${event().trimEnd()}\npeername=${'x'.repeat(4096)}\n\n`,
    reply: /^error SIZE .*4096/,
  },
  'no end at 5000 bytes': { bytes: 'x'.repeat(5000), reply: /^error SIZE .*4096/ },
  'no empty line': { bytes: event().trimEnd(), reply: /^error FIELD .*no empty line/ },
  nothing: { bytes: '', reply: /^error FIELD .*no empty line/ },
  'two lines in a row for one': { bytes: '\n\n', reply: /^error VERSION / },
  garbage: { bytes: Buffer.from([0, 255, 254, 10, 10]), reply: /^error FIELD / },
};

scenario('bad words on the wire: a reply that names the field, one warning', async (lab, t) => {
  await lab.machine();
  await lab.connect('ppp0');
  const before = await lab.table();
  for (const [what, { bytes, reply }] of Object.entries(badEvents)) {
    const log = lab.log().length;
    const answer = await lab.say(bytes);
    t.match(answer, reply, what);
    t.match(answer, /^[\x20-\x7e…]+\n$/, `${what}: one line without control characters`);
    t.same(
      await lab.journal(log, 1),
      [`warn: an event was refused, nothing was changed: ${answer.trimEnd().replace('error ', '')}`],
      `${what}: one warning`,
    );
  }
  t.equal(await lab.table(), before, 'the table is unchanged');
  t.match(await lab.say(event()), /^ok work: ppp0 up, default via ppp0\n$/, 'the daemon is alive');
  await lab.shows(onLink);
});

scenario('silence on the wire: TIMEOUT after a second, and nobody else waits', async (lab, t) => {
  await lab.machine();
  const started = performance.now();
  const silent = Array.from({ length: 50 }, () => lab.say('version=1\n', { end: false }));
  // A hook waits two seconds for its answer, and then leaves the event in the spool.
  await lab.up('ppp0');
  await lab.shows(onLink, 'an event goes past those that are silent');
  for (const answer of await Promise.all(silent))
    t.match(answer, /^error TIMEOUT no whole event within 1000 ms\n$/);
  t.ok(performance.now() - started > 900, 'not before a second');
});

scenario('what a hook passes on may be hostile', async (lab, t) => {
  await lab.machine();
  await lab.connect('ppp0');
  const hostile = { PEERNAME: 'x\nevent=ip-down\n\n', LINKNAME: '$(reboot)', CALL_FILE: '../../etc/shadow' };
  await lab.fine(lab.hook('ip-up', 'ppp0', { environment: hostile }));
  await lab.shows(onLink);
  await lab.fine(lab.hook('ip-down', 'ppp0'));
  const { stderr } = await lab.hook('ip-up', '--help');
  t.match(stderr, /^ppp-routed: error FIELD interface is "--help"; expected an interface name/);
  await lab.shows(linkAlone);
});

const linkUp = (lab: Lab) => lab.hook('ip-up', 'ppp0');
const untold: Record<string, { configuration?: string; tells(lab: Lab): Promise<unknown> }> = {
  'ipv6-up of it comes': { tells: lab => lab.hook('ipv6-up', 'ppp0', ends6) },
  'the configuration is bad, and ip-up comes again': { configuration: 'not toml\n', tells: linkUp },
  'no profile matches, and ip-up comes again': { configuration: '', tells: linkUp },
};

for (const [what, { configuration = replaceProfile, tells }] of Object.entries(untold)) {
  scenario(`the state is lost while the link is up, ${what}: our default stays`, async (lab, t) => {
    await lab.machine();
    await lab.up('ppp0');
    await lab.stopDaemon('SIGKILL');
    await lab.run('rm', '-r', `${lab.directory}/state`);
    await lab.write('etc/ppp-routed.toml', configuration);
    await lab.startDaemon();
    await lab.shows(onLink, 'after the start');
    await tells(lab);
    await lab.shows(onLink, 'and now');
    t.match((await lab.status()).status, /nothing else leads out/);
    await lab.ip('route append default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100');
    await lab.comesToShow(linkAlone);
    await lab.configure(replaceProfile);
    await lab.fine(lab.hook('ip-up', 'ppp0'));
    await lab.shows(onLink, 'known again');
    await lab.down('ppp0');
    await lab.restored(1000);
  });
}

scenario('what a crash left is swept at start', async lab => {
  await lab.machine({ daemon: false });
  await lab.ip('route add 203.0.113.99 via 192.168.1.1 dev eth0 proto 173');
  await lab.ip('route add unreachable default proto 173 metric 4000');
  await lab.ip('route add default via 192.168.1.7 dev eth0 proto 173 table 17300');
  await lab.ip('-6 route add unreachable 2000::/3 proto 173 metric 1');
  await lab.ip('rule add from all lookup 17300 priority 17320 protocol 173');
  await lab.ip('-6 rule add from all lookup 17300 priority 17320 protocol 173');
  await lab.startDaemon();
  await lab.restored();
});

scenario('what others have of the same kind is not swept', async lab => {
  await lab.machine({
    daemon: false,
    commands: [
      'rule add from all lookup main suppress_prefixlength 0 priority 17310',
      'rule add from all lookup 17300 priority 17320',
      'route add default via 192.168.1.7 dev eth0 proto static table 17300',
      'route add 203.0.113.5 via 192.168.1.7 dev eth0 proto static',
    ],
    routes: `
      default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100
      192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
      203.0.113.5 via 192.168.1.7 dev eth0 proto static
    `,
  });
  await lab.startDaemon();
  await lab.restored();
  await lab.up('ppp0');
  await lab.shows(`
    default dev ppp0 proto 173 scope link
    10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
    203.0.113.5 via 192.168.1.7 dev eth0 proto static
  `);
  await lab.down('ppp0');
  await lab.restored();
});

/** Edits of the file that are refused: where and why. */
const badEdits: Record<string, { text: string; says: RegExp }> = {
  'an unknown key': {
    text: `${replaceProfile}defualt-route = "none"\n`,
    says: /ppp-routed\.toml:5: link\.work\.defualt-route: unknown key; expected one of /,
  },
  'a bad prefix': {
    text: `${replaceProfile}networks = [\n  "10.0.0.0/8",\n  "10.0.0.0/33",\n]\n`,
    says: /ppp-routed\.toml:5: link\.work\.networks\[1\]: expected a prefix such as .*, found "10\.0\.0\.0\/33"/,
  },
  'an unknown mode': {
    text: '\n\n[link.work]\ndefault-route = "replaced"\n',
    says: /ppp-routed\.toml:4: link\.work\.default-route: expected "replace", .* found "replaced"/,
  },
  'no TOML': { text: '[link.work', says: /ppp-routed\.toml:1: not TOML: / },
};

scenario('a bad edit of the configuration keeps the last good one', async (lab, t) => {
  await lab.machine();
  await lab.up('ppp0');
  for (const [what, { text, says }] of Object.entries(badEdits)) {
    await lab.configure(text);
    const warning = lab.log().at(-1) ?? '';
    t.match(warning, /^warn: the configuration is not used, the last good one stays in force: /, what);
    t.match(warning, says, `${what}: file, line, key and what was expected`);
    t.match((await lab.status()).status, says, `${what}: so says the status`);
    await lab.fine(lab.hook('ip-up', 'ppp0'));
    await lab.shows(onLink, `${what}: the last good one is in force`);
  }
  await lab.configure(replaceProfile);
  t.equal((await lab.status()).degraded, false, 'well again');
  await lab.down('ppp0');
  await lab.restored();
});

/** What a package upgrade or a configuration management tool does to the directory; in the lab's directory. */
const moves: Record<string, string> = {
  'away for a moment': 'mv etc away; mv away etc',
  'away for half a second': 'mv etc away; sleep 0.5; mv away etc',
  'away for two seconds': 'mv etc away; sleep 2; mv away etc',
  'replaced by a copy': 'cp -a etc copy; mv etc away; mv copy etc; rm -r away',
  'deleted and made anew': 'cp -a etc copy; rm -r etc; sleep 1; mkdir etc; cp copy/*.toml etc; rm -r copy',
  'behind another symbolic link': 'mv etc one; ln -s one etc; sleep 1.5; cp -a one two; ln -sfn two etc',
};

for (const [what, commands] of Object.entries(moves)) {
  scenario(`the configuration directory is moved while a link is up: ${what}`, async (lab, t) => {
    const block = `${replaceProfile}on-loss = "block"\n`;
    await lab.machine({ profiles: block });
    await lab.up('ppp0');
    const routes = await lab.ip('route');
    const { length } = lab.log();
    await lab.run('/bin/sh', '-euc', `cd ${lab.directory}; ${commands}`);
    // As long as it is looked for.
    await sleep(1500);
    const since = lab.log().slice(length);
    t.notMatch(since.join('\n'), /adding|deleting|no profiles/, 'no route is touched');
    t.equal(await lab.ip('route'), routes);
    await lab.write('etc/ppp-routed.toml', `${block}networks = ["193.6.37.0/24"]\n`);
    await lab.says(/adding a network behind the link: .*193\.6\.37\.0/);
    t.equal((await lab.status()).degraded, false, 'all is well');
  });
}

scenario(
  'the configuration directory is gone while a link is up, and comes back as another',
  async (lab, t) => {
    await lab.machine();
    await lab.up('ppp0');
    await lab.run('mv', `${lab.directory}/etc`, `${lab.directory}/away`);
    await lab.says(
      /^warn: the configuration is not used, the last good one stays .*\/etc: there is no such directory$/,
    );
    t.match(await lab.status(), { degraded: true, status: /there is no such directory; work: ppp0 up/ });
    await lab.fine(lab.hook('ip-up', 'ppp0'));
    await lab.shows(onLink, 'the last good one is in force');
    await lab.write('etc/ppp-routed.toml', replaceProfile.replace('replace', 'none'));
    await lab.says(/^notice: well again: the configuration is not used/);
    await lab.until(async () => (await lab.deviceTo('198.51.100.7')) === 'eth0');
    t.equal((await lab.status()).degraded, false, 'all is well');
  },
);

scenario('a configuration that is bad at start', async (lab, t) => {
  await lab.machine();
  await lab.up('ppp0');
  await lab.stopDaemon('SIGKILL');
  await lab.write('etc/ppp-routed.toml', '[link.work\n');
  await lab.startDaemon();
  await lab.shows(onLink, 'a link that is up keeps what it came up with');
  t.equal((await lab.status()).degraded, true);
  await lab.down('ppp0');
  await lab.shows(base);
});

/** What may have become of the configuration directory while the daemon was down; in the lab's directory. */
const absent: Record<string, string> = {
  'moved away': 'mv etc away',
  'a symbolic link to nowhere': 'mv etc away; ln -s nowhere etc',
};

for (const [what, commands] of Object.entries(absent)) {
  for (const loss of ['restore', 'block']) {
    scenario(`the configuration directory is ${what} at start, on-loss = "${loss}"`, async (lab, t) => {
      const profile = `${replaceProfile}on-loss = "${loss}"\n`;
      await lab.machine({ profiles: profile });
      await lab.up('ppp0');
      const routes = await lab.ip('route');
      await lab.stopDaemon('SIGKILL');
      await lab.run('/bin/sh', '-euc', `cd ${lab.directory}; ${commands}`);
      await lab.startDaemon();
      t.equal(await lab.ip('route'), routes, 'a link that is up keeps what it came up with');
      t.match(await lab.status(), {
        degraded: true,
        status: /\/etc: there is no such directory; work: ppp0 up, default via ppp0/,
      });
      await lab.fine(lab.hook('ip-up', 'ppp0'));
      t.equal(await lab.ip('route'), routes, 'also where it is told of anew');
      await lab.run('/bin/sh', '-euc', `cd ${lab.directory}; rm -f etc; mv away etc`);
      await lab.says(/^notice: well again: the configuration is not used/);
      t.equal((await lab.status()).degraded, false, 'all is well');
      t.equal(await lab.ip('route'), routes);
      await lab.configure(profile.replace('replace', 'none'));
      await lab.until(async () => (await lab.deviceTo('198.51.100.7')) === 'eth0');
    });
  }
}

scenario('there is no configuration directory, and no link that a profile matched', async (lab, t) => {
  await lab.machine();
  await lab.up('ppp0', { ipparam: 'other' });
  await lab.stopDaemon('SIGKILL');
  await lab.run('rm', '-r', `${lab.directory}/etc`);
  await lab.startDaemon();
  t.match(await lab.status(), { degraded: false, status: 'unmanaged: ppp0 left alone' });
  await lab.configure(replaceProfile.replace('work', 'other'));
  await lab.shows(onLink, 'made, it is read');
});

for (const start of ['is started', 'runs']) {
  scenario(`the configuration file is a directory for a moment while the daemon ${start}`, async (lab, t) => {
    const isStarted = start === 'is started';
    await lab.machine(isStarted ? { daemon: false } : {});
    const file = `${lab.directory}/etc/ppp-routed.toml`;
    for (let round = 1; round <= 4; round++) {
      await lab.run('/bin/sh', '-euc', 'rm "$0"; mkdir "$0"', file);
      if (isStarted) await lab.startDaemon();
      await sleep(150 * round);
      await lab.run('rmdir', file);
      for (const name of ['back', 'edited']) {
        const { length } = lab.log();
        await lab.write('etc/ppp-routed.toml', replaceProfile.replace('work', `${name}${round}`));
        const isRead = () => lab.log().slice(length).join('\n').includes(`profiles ${name}${round}`);
        // Before it would be tried again because it could not be read.
        await lab.until(isRead, 2500);
      }
      t.equal((await lab.status()).degraded, false, 'all is well');
      if (isStarted) await lab.stopDaemon();
    }
  });
}

/** Files in the place of directories, with the profile in `links.d/`; in the lab's directory. */
const misplaced: Record<string, { spoil: string; mend: string; says: RegExp }> = {
  'the configuration directory': {
    spoil: 'cp -a etc copy; rm -r etc; echo >etc',
    // The very same inode, often.
    mend: 'rm etc; mkdir etc; cp -a copy/* etc; rm -r copy',
    says: /\/etc\/ppp-routed\.toml: cannot be read: ENOTDIR: not a directory/,
  },
  'links.d': {
    spoil: 'mv etc/links.d .; echo >etc/links.d',
    mend: 'rm etc/links.d; mv links.d etc',
    says: /\/etc\/links\.d: ENOTDIR: not a directory/,
  },
};

for (const [what, { spoil, mend, says }] of Object.entries(misplaced)) {
  scenario(`a file in the place of ${what} while a link is up`, async (lab, t) => {
    const inLab = (commands: string) => lab.run('/bin/sh', '-euc', `cd ${lab.directory}; ${commands}`);
    await lab.machine({ daemon: false });
    await inLab('mkdir etc/links.d; mv etc/ppp-routed.toml etc/links.d/work.toml');
    await lab.startDaemon();
    await lab.up('ppp0');
    for (let round = 1; round <= 2; round++) {
      await inLab(spoil);
      await lab.until(async () => (await lab.status()).degraded);
      t.match((await lab.status()).status, says, 'the status says what is wrong');
      await lab.shows(onLink, 'the last good one is in force');
      await inLab(mend);
      await lab.until(async () => !(await lab.status()).degraded);
      await lab.shows(onLink, 'mended');
      for (const [mode, device] of Object.entries({ none: 'eth0', replace: 'ppp0' })) {
        await lab.write('etc/links.d/work.toml', replaceProfile.replace('replace', mode));
        await lab.until(async () => (await lab.deviceTo('198.51.100.7')) === device, 2500);
      }
    }
    t.notMatch(lab.log().join('\n'), /no profiles/);
  });
}

scenario('an edit in the very moment in which the daemon is ready', async (lab, t) => {
  const named = (name: string) => `[link.${name}]\ndefault-route = "metric"\nserver = "none"\n`;
  await lab.machine({ profiles: named('work') });
  for (let round = 1; round <= 8; round++) {
    await lab.stopDaemon();
    await lab.startDaemon();
    await lab.configure(named(`work${round}`));
    t.match(lab.log().at(-1), `the configuration was read: profiles work${round}`);
  }
});
