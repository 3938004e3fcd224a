// What a hook tells the daemon, and what it leaves out.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import t, { type Test } from 'tap';
import { decodeEvent } from '../../src/core/link/event.ts';
import { decodeTransport } from '../../src/core/link/transport.ts';
import { startDaemon } from './fixtures/daemon.ts';
import {
  type Call,
  type Machine,
  machine,
  mayMount,
  netns,
  plainEvent,
  plainSpooled,
  pppdArguments,
  readSpool,
  runHook,
  tool,
  unshareMounts,
  withoutId,
} from './fixtures/hook.ts';
import { decodeEvent as decodeVersion1 } from './fixtures/version-1/event.ts';

t.jobs = 4;

const linkLocals = ['lo', '/dev/pts/3', '115200', 'fe80::8:2', 'fe80::8:1', 'work'];

/** What ends an event in the spool. */
const end = `netns=${netns}\n\n`;

/** The event that the hook writes, here into the spool. */
async function eventOf(t: Test, call: Call, prepare: (here: Machine) => Promise<void> = async () => {}) {
  const here = await machine(t);
  await prepare(here);
  const { exitCode, stderr, seconds } = await runHook(here, call);
  t.equal(exitCode, 0);
  t.equal(stderr, '');
  t.ok(seconds < 3, `took ${seconds} s`);
  const text = await readFile(join(here.runtime, 'spool/0000000001'), 'utf8');
  t.ok(Buffer.byteLength(text) <= 4096, `${Buffer.byteLength(text)} bytes`);
  t.match(text, /^version=1\nevent=[a-z0-9-]+\n(?:[a-z0-9-]+=[^\n]+\n)*\nnetns=\d+\n\n$/);
  // A daemon of version 1 reads what is spooled too, and all of it but the namespace.
  const { version: _, netns: __, ...rest } = outcomeOf(decodeEvent, text);
  t.same(outcomeOf(decodeVersion1, text), rest);
  return withoutId(text);
}

/** The event, or the code of the refusal. */
function outcomeOf(decode: (bytes: Buffer) => object, text: string): Record<string, unknown> {
  try {
    return { ...decode(Buffer.from(text)) };
  } catch (error) {
    return { refused: error instanceof Error && 'code' in error ? error.code : error };
  }
}

/** The lines of the event beside those that every event here has. */
async function linesOf(t: Test, call: Call, prepare?: (here: Machine) => Promise<void>) {
  const plain = new Set(plainSpooled.split('\n'));
  return (await eventOf(t, call, prepare)).split('\n').filter(line => !plain.has(line));
}

const events: Record<string, { call: Call; tells: string }> = {
  'ip-up': { call: { event: 'ip-up' }, tells: 'ip-up' },
  'ip-down': { call: { event: 'ip-down' }, tells: 'ip-down' },
  'ipv6-up': { call: { event: 'ipv6-up', arguments: linkLocals }, tells: 'ipv6-up' },
  'ipv6-down': { call: { event: 'ipv6-down', arguments: linkLocals }, tells: 'ipv6-down' },
  'ip-up as OpenWrt calls it for IPv6': { call: { event: 'ip-up', arguments: linkLocals }, tells: 'ipv6-up' },
  'ip-down as OpenWrt calls it for IPv6': {
    call: { event: 'ip-down', arguments: linkLocals },
    tells: 'ipv6-down',
  },
};

for (const [name, { call, tells }] of Object.entries(events)) {
  t.test(`${name} tells ${tells}`, { buffered: true }, async t => {
    const text = await eventOf(t, call);
    t.match(text, `version=1\nevent=${tells}\ninterface=lo\nifindex=1\n`);
    t.match(
      text,
      `\nlocal=${call.arguments?.[3] ?? '10.8.0.2'}\nremote=${call.arguments?.[4] ?? '10.8.0.1'}\n`,
    );
  });
}

t.test(`everything pppd says, in this order`, { buffered: true }, async t => {
  const environment = {
    DEVICE: '/dev/pts/3',
    IFNAME: 'ppp9', // the name before a rename in ip-pre-up
    UNIT: '9',
    LINKNAME: 'office line',
    SPEED: '115200',
    ORIG_UID: '0',
    PPPLOGNAME: 'root',
    CALL_FILE: 'work',
    PEERNAME: 'vpn.example.com',
    IPLOCAL: '10.8.0.2',
    IPREMOTE: '10.8.0.1',
    DNS1: '10.8.0.53',
    DNS2: '10.8.1.53',
    USEPEERDNS: '1',
  };
  t.equal(
    await eventOf(t, { environment }, here =>
      writeFile(join(here.peers, 'work'), 'pty "pptp vpn.example.com --nolaunchpppd"\nname ann\n'),
    ),
    `version=1
event=ip-up
interface=lo
ifindex=1
tty=/dev/pts/3
speed=115200
local=10.8.0.2
remote=10.8.0.1
ipparam=work
pid=4711
call=work
linkname=office line
peername=vpn.example.com
dns1=10.8.0.53
dns2=10.8.1.53
peer-option=pty "pptp vpn.example.com --nolaunchpppd"

${end}`,
  );
});

t.test(`every event has an id of its own`, { buffered: true }, async t => {
  const here = await machine(t);
  for (let event = 0; event < 3; event++) await runHook(here, {});
  const spool = join(here.runtime, 'spool');
  const texts = await Promise.all(['1', '2', '3'].map(n => readFile(join(spool, `000000000${n}`), 'utf8')));
  const ids = texts.map(text => decodeEvent(Buffer.from(text)).id);
  t.equal(new Set(ids).size, 3);
  t.notOk(ids.includes(undefined));
});

t.test(`an interface that is gone has no ifindex`, { buffered: true }, async t => {
  const text = await eventOf(t, { event: 'ip-down', arguments: ['ppp77', '', '', '', '', ''] });
  t.equal(text, `version=1\nevent=ip-down\ninterface=ppp77\npid=4711\n\n${end}`);
});

t.test(`an interface name is not a path`, { buffered: true }, async t => {
  for (const name of ['../net/lo', './lo', '..', '/', 'lo/', '*', 'l?']) {
    const text = await eventOf(t, { arguments: [name] });
    t.equal(text, `version=1\nevent=ip-up\ninterface=${name}\npid=4711\n\n${end}`);
  }
});

t.test(`no arguments and no environment at all`, { buffered: true }, async t => {
  const text = await eventOf(t, { arguments: [], environment: { PPPD_PID: undefined } });
  t.equal(text, `version=1\nevent=ip-up\n\n${end}`);
});

const leftOut: Record<string, string> = {
  'a newline, and a line of its own': 'x\nlocal=6.6.6.6',
  'a newline at the end': 'x\n',
  'only a newline': '\n',
  'a carriage return': 'x\r',
  'a tab': 'a\tb',
  'an escape sequence': '\x1b[2J',
  'a delete character': 'x\x7f',
  'a C1 control': 'x\u0085y',
  '256 bytes': 'x'.repeat(256),
  '256 bytes in 128 characters': 'é'.repeat(128),
};
const kept: Record<string, string> = {
  '255 bytes': 'x'.repeat(255),
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a value that a shell would expand is what is tested
  'what a shell would expand': '$(reboot) `reboot` ${IFS} * ~ \\ \\n %s %n "\' ; & | < > # !',
  'spaces at both ends': '  x  ',
  'an option': '-n',
  'a backslash at the end': 'x\\',
  'letters of two bytes': 'Űrhajó ÁÈ',
  'the ends of every range of UTF-8': String.fromCodePoint(
    ...[
      0xa0, 0xbf, 0xc0, 0x7ff, 0x800, 0xfff, 0x1000, 0xcfff, 0xd000, 0xd7ff, 0xe000, 0xefff, 0xf000, 0xfffd,
    ],
    ...[0x10000, 0x3ffff, 0x40000, 0xfffff, 0x100000, 0x10fffd],
  ),
  'an equals sign': 'event=ip-down',
};
t.test(`values that are left out, and named`, { buffered: true }, async t => {
  for (const [what, value] of Object.entries(leftOut)) {
    // A locale in the environment changes nothing: bash would count characters.
    const environment = { PEERNAME: value, DNS1: '10.8.0.53', LANG: 'C.UTF-8' };
    const lines = await linesOf(t, { environment });
    t.strictSame(lines, ['unusable=peername', 'dns1=10.8.0.53'], what);
  }
  for (const [index, key] of ['interface', 'tty', 'speed', 'local', 'remote', 'ipparam'].entries()) {
    const text = await eventOf(t, { arguments: pppdArguments.with(index, 'x\npid=1') });
    t.match(text, `unusable=${key}\n`);
    t.notMatch(text, 'pid=1\n');
  }
  for (const [variable, key] of Object.entries({
    PPPD_PID: 'pid',
    CALL_FILE: 'call',
    LINKNAME: 'linkname',
    DNS2: 'dns2',
  })) {
    const lines = await linesOf(t, { environment: { [variable]: 'x\npid=1' } });
    t.strictSame(lines, [`unusable=${key}`]);
  }
});
t.test(`values that are kept as they are`, { buffered: true }, async t => {
  for (const [what, value] of Object.entries(kept)) {
    const text = await eventOf(t, { environment: { PEERNAME: value } });
    t.equal(
      text,
      plainSpooled.replace('\n\n', () => `\npeername=${value}\n\n`),
      what,
    );
    t.equal(decodeEvent(Buffer.from(text)).peername, value, 'and the daemon takes it');
  }
});

// No Node string holds these bytes, so the shell's printf makes them.
t.test(`bytes that are not UTF-8 are left out`, { buffered: true }, async t => {
  const malformed = {
    'a lone continuation byte': '\\200',
    'a byte that dash uses inside': 'a\\201b',
    'an overlong slash': '\\300\\257',
    'an overlong letter of three bytes': '\\340\\237\\277',
    'a surrogate': '\\355\\240\\200',
    'above U+10FFFF': '\\364\\220\\200\\200',
    'a sequence cut short': 'x\\342\\202',
    'a letter, then Latin-1': '\\303\\251\\351',
    'no byte of UTF-8': '\\377',
  };
  for (const [what, bytes] of Object.entries(malformed)) {
    const here = await machine(t);
    const pppd = `PEERNAME=$(printf '${bytes}') exec "$@"`;
    await runHook(here, { through: ['/bin/sh', '-c', pppd, 'pppd'] });
    t.match((await readSpool(here))['0000000001'], `pid=4711\nunusable=peername\n\n${end}`, what);
  }
});

t.test(`every value as long as can be still fits 4096 bytes`, { buffered: true }, async t => {
  const long = 'x'.repeat(255);
  const variables = ['PPPD_PID', 'LINKNAME', 'PEERNAME', 'DNS1', 'DNS2'];
  const call: Call = {
    arguments: Array(6).fill(long),
    environment: {
      CALL_FILE: `${'./'.repeat(125)}work1`,
      ...Object.fromEntries(variables.map(name => [name, long])),
    },
  };
  const text = await eventOf(t, call, here =>
    writeFile(join(here.peers, 'work1'), `pty ${'y'.repeat(251)}\n`.repeat(4)),
  );
  t.match(text, `\ndns2=${long}\n`, 'the peers file gives way first');
  t.match(text, 'unusable=peer-option\n');
});

const peersFiles: Record<string, { text: string; lines: string[] }> = {
  'lines that name a server': {
    text: 'noauth\nplugin "pptp.so"\npptp_server vpn.example.com\npty "pppd pty"\nptyx\n',
    lines: ['peer-option=pptp_server vpn.example.com', 'peer-option=pty "pppd pty"'],
  },
  'comments, indentation, tabs': {
    text: '# pty "pptp old"\n#pty old\n \t pty\t"pptp  vpn --quirks" # why\n  # x \\\npptp_server a\n',
    lines: ['peer-option=pty "pptp vpn --quirks" # why', 'peer-option=pptp_server a'],
  },
  'a line continued': {
    text: 'pty "pptp vpn.\\\nexample.com \\\n  --loglevel 0"\nnodetach\n',
    lines: ['peer-option=pty "pptp vpn.example.com --loglevel 0"'],
  },
  'no newline at the end': { text: 'pty "pptp vpn"', lines: ['peer-option=pty "pptp vpn"'] },
  'patterns and quotes stay': {
    text: "pty /e* * '$(reboot) \\x'\n",
    lines: ["peer-option=pty /e* * '$(reboot) \\x'"],
  },
  'five servers': { text: 'pptp_server a\n'.repeat(5), lines: Array(4).fill('peer-option=pptp_server a') },
  'a control character': { text: 'pty "pptp\x01"\n', lines: ['unusable=peer-option'] },
  '200 lines are read': { text: `${'lock\n'.repeat(199)}pty a\npty b\n`, lines: ['peer-option=pty a'] },
  'a million lines': { text: 'lock\n'.repeat(1_000_000), lines: [] },
  'an empty file': { text: '', lines: [] },
};
t.test(`the pptp process behind pppd`, { buffered: true }, async t => {
  const directory = await mkdtemp(join(tmpdir(), 'hook-pptp-'));
  t.teardown(() => rm(directory, { recursive: true }));
  await symlink(tool('dash'), join(directory, 'pptp'));
  const words = ['-s', '203.0.113.5', '  two  spaces', '--nolaunchpppd'];
  // It waits for its input. Here the test is pppd.
  const pptp = spawn(join(directory, 'pptp'), words, { stdio: ['pipe', 'ignore', 'inherit'] });
  t.teardown(() => pptp.kill());
  await once(pptp, 'spawn');
  const here = await machine(t);
  const environment = { PPPD_PID: `${process.pid}` };
  const lines = async (event: 'ip-up' | 'ip-down') => {
    await runHook(here, { event, environment });
    const spooled = Object.values(await readSpool(here)).at(-1) ?? '';
    return spooled.split('\n').filter(line => line.startsWith('peer-option='));
  };
  t.strictSame(await lines('ip-up'), [
    `peer-option=process ${join(directory, 'pptp')} -s 203.0.113.5   two  spaces --nolaunchpppd`,
  ]);
  t.strictSame(await lines('ip-down'), [], 'for ups only');
});

t.test(`the peers file`, { buffered: true }, async t => {
  for (const [what, { text, lines }] of Object.entries(peersFiles)) {
    const environment = { CALL_FILE: 'work' };
    const written = await linesOf(t, { environment }, here => writeFile(join(here.peers, 'work'), text));
    t.strictSame(written, ['call=work', ...lines], what);
  }
});

t.test(`the peers file is read for ups only`, { buffered: true }, async t => {
  const wanted = { 'ip-up': 1, 'ip-down': 0, 'ipv6-up': 1, 'ipv6-down': 0 } as const;
  for (const [event, count] of Object.entries(wanted) as [keyof typeof wanted, number][]) {
    const text = await eventOf(t, { event, environment: { CALL_FILE: 'work' } }, here =>
      writeFile(join(here.peers, 'work'), 'pty "pptp vpn"\n'),
    );
    t.equal(text.split('peer-option=').length - 1, count, event);
  }
});

t.test(`only a regular file below the peers directory is read`, { buffered: true }, async t => {
  const prepare = async (here: Machine) => {
    await mkdir(join(here.peers, 'a'));
    await execa('mkfifo', [join(here.peers, 'pipe')]);
    for (const path of ['../outside', 'a/b', 'a/..b', '*'])
      await writeFile(join(here.peers, path), 'pty x\n');
  };
  const read = ['a/b', 'a/..b', './a/b', '*'];
  const refused = ['../outside', 'a/../../outside', 'a/..', '..', '/a/b', 'pipe', 'a', 'missing', 'a/?'];
  for (const name of [...read, ...refused]) {
    const wanted = read.includes(name) ? [`call=${name}`, 'peer-option=pty x'] : [`call=${name}`];
    t.strictSame(await linesOf(t, { environment: { CALL_FILE: name } }, prepare), wanted);
  }
});

// It mounts over /run: a container without privileges forbids that, and the whole form runs where it is allowed.
const skip = (await mayMount()) ? {} : { skip: 'needs root or user namespaces' };
t.test('nothing at all in the environment', skip, async t => {
  const here = await machine(t);
  const environment = {
    RUNTIME_DIRECTORY: undefined,
    PPP_ROUTED_PEERS_DIRECTORY: undefined,
    PPPD_PID: undefined,
  };
  // The default directory, in a mount namespace.
  const mounted =
    'mount -t tmpfs none /run && mkdir /run/ppp-routed && ln -s "$0/hook.sock" /run/ppp-routed/ && exec "$@"';
  const daemon = await startDaemon('answers ok', here.runtime);
  t.teardown(daemon.stop);
  const through = [...unshareMounts, '/bin/sh', '-c', mounted, here.runtime, '/usr/bin/env', '-i'];
  const { exitCode, stderr } = await runHook(here, { environment, through });
  t.equal(exitCode, 0);
  t.equal(stderr, '');
  t.strictSame(daemon.received, [plainEvent.replace('pid=4711\n', '')]);
});

t.test('what is asked for is told in the same form', async t => {
  const here = await machine(t);
  const lines = ['pty a', 'pty \x01', `pty ${'y'.repeat(256)}`, 'pptp_server é', 'pty b'];
  await writeFile(join(here.peers, 'work'), `${lines.join('\n')}\n`);
  const daemon = await startDaemon('asks, then answers ok', here.runtime);
  t.teardown(daemon.stop);
  await runHook(here, { environment: { CALL_FILE: 'work' } });
  const [, answer = ''] = daemon.received[0]?.split(/(?<=\n\n)/) ?? [];
  t.equal(
    answer,
    'peer-option=pty a\nunusable=peer-option\nunusable=peer-option\npeer-option=pptp_server é\n\n',
  );
  t.strictSame(decodeTransport(Buffer.from(answer)), ['pty a', 'pptp_server é']);
});

t.test('with nothing to tell, the answer is an empty line', async t => {
  const here = await machine(t);
  const daemon = await startDaemon('asks, then answers ok', here.runtime);
  t.teardown(daemon.stop);
  const { stderr } = await runHook(here);
  t.equal(stderr, '');
  t.strictSame(daemon.received, [`${plainEvent}\n`]);
});
