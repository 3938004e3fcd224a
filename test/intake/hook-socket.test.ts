// One connection: an event, perhaps a question to the hook, and one line in answer.
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import t, { type Test } from 'tap';
import type { LinkEvent } from '../../src/core/link/event.ts';
import { createHookSocket, type HookSocketOptions } from '../../src/intake/hook-socket.ts';

const text = (version: number) => `version=${version}\nevent=ip-up\ninterface=ppp0\nnetns=7\n\n`;

/** A socket whose daemon asks where it can; what it heard, and what was refused. */
async function listen(t: Test, more: Partial<HookSocketOptions> = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'hook-socket-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const heard: { event: LinkEvent; asked: boolean; transport?: string[] | undefined }[] = [];
  const refused: string[] = [];
  const server = createHookSocket({
    patience: 1000,
    answerWithin: 3000,
    most: 1024,
    onEvent: async (event, ask) => {
      heard.push({ event, asked: ask !== undefined, transport: await ask?.() });
      return { ok: true, text: 'done' };
    },
    onRefused: error => void refused.push(`${error.code} ${error.message}`),
    ...more,
  });
  const path = join(directory, 'hook.sock');
  server.listen(path);
  await once(server, 'listening');
  t.teardown(() => server.close());
  return { directory, path, heard, refused };
}

/** A client that says the event, and `answer` where it is asked. Returns all that the daemon wrote, and how long it took. */
async function say(path: string, event: string, answer?: (socket: net.Socket) => void) {
  const started = performance.now();
  const socket = net.connect(path);
  socket.setEncoding('utf8');
  let said = '';
  socket.on('data', chunk => {
    said += chunk;
    if (said === 'ask transport\n') answer?.(socket);
  });
  socket.write(event);
  await once(socket, 'close');
  return { said, milliseconds: performance.now() - started };
}

t.test('an event of version 2 is asked, and the answer is what is told', async t => {
  const { path, heard, refused } = await listen(t);
  const { said } = await say(path, text(2), socket =>
    // In two pieces, the empty line by itself.
    socket.write('peer-option=pty a\npeer-option=pty é\nunusable=peer-option\n', () =>
      setImmediate(() => socket.write('\n')),
    ),
  );
  t.equal(said, 'ask transport\nok done\n');
  t.match(heard, [
    { event: { version: 2, netns: 7, peerOptions: [] }, asked: true, transport: ['pty a', 'pty é'] },
  ]);
  t.strictSame(refused, []);
});

t.test('an answer of an empty line: the hook knows none', async t => {
  const { path, heard } = await listen(t);
  const { said, milliseconds } = await say(path, text(2), socket => socket.write('\n'));
  t.equal(said, 'ask transport\nok done\n');
  t.strictSame(heard[0]?.transport, []);
  t.ok(milliseconds < 250, `took ${milliseconds} ms`);
});

t.test('an event of version 1 cannot be asked', async t => {
  const { path, heard } = await listen(t);
  t.equal((await say(path, text(1))).said, 'ok done\n');
  t.match(heard, [{ event: { version: 1, netns: 7 }, asked: false }]);
});

const none: Record<string, { answer?: (socket: net.Socket) => void; refused?: RegExp; waits: boolean }> = {
  'no answer': { waits: true },
  'half an answer': { answer: socket => socket.write('peer-option=pty a\n'), waits: true },
  'half an answer and its end': { answer: socket => socket.end('peer-option=pty a\n'), waits: false },
  'an end': { answer: socket => socket.end(), waits: false },
  'a client that is gone': { answer: socket => socket.destroy(), waits: false },
  'an unknown key': {
    answer: socket => socket.write('color=red\n\n'),
    refused: /^FIELD "color"/,
    waits: false,
  },
  'five peer-options': {
    answer: socket => socket.write(`${'peer-option=a\n'.repeat(5)}\n`),
    refused: /^FIELD more than 4/,
    waits: false,
  },
  'a control character': {
    answer: socket => socket.write('peer-option=\x1b[2J\n\n'),
    refused: /^FIELD peer-option .*control/,
    waits: false,
  },
  'bytes that are not UTF-8': {
    answer: socket => socket.write(Buffer.from('peer-option=\xff\n\n', 'latin1')),
    refused: /^FIELD .*UTF-8/,
    waits: false,
  },
  'more than 4096 bytes': {
    answer: socket => socket.write('x'.repeat(4097)),
    refused: /^SIZE /,
    waits: false,
  },
};
for (const [what, { answer, refused, waits }] of Object.entries(none)) {
  t.test(`${what}: the daemon goes on without`, async t => {
    const socket = await listen(t);
    const { said, milliseconds } = await say(socket.path, text(2), answer);
    for (let waited = 0; socket.heard.length === 0 && waited < 1000; waited += 10) await sleep(10);
    t.match(socket.heard, [{ asked: true, transport: undefined }]);
    if (!what.includes('gone')) t.equal(said, 'ask transport\nok done\n');
    t.match(socket.refused, refused === undefined ? [] : [refused]);
    t.equal(socket.refused.length, refused === undefined ? 0 : 1);
    if (waits) t.ok(milliseconds > 290, `waited ${milliseconds} ms`);
    else t.ok(milliseconds < 250, `took ${milliseconds} ms`);
  });
}

t.test('a late answer is discarded, and the reply still comes', async t => {
  const { path, refused } = await listen(t, {
    onEvent: async (_, ask) => {
      t.equal(await ask?.(), undefined);
      await sleep(300);
      return { ok: true, text: 'done' };
    },
  });
  const { said } = await say(
    path,
    text(2),
    socket => void setTimeout(() => socket.write('nonsense\n\n'), 400),
  );
  t.equal(said, 'ask transport\nok done\n');
  t.strictSame(refused, []);
});

t.test('asked twice, it asks once', async t => {
  const { path } = await listen(t, {
    onEvent: async (_, ask) => {
      t.strictSame(await Promise.all([ask?.(), ask?.()]), [['pty a'], ['pty a']]);
      t.strictSame(await ask?.(), ['pty a']);
      return { ok: true, text: 'done' };
    },
  });
  const { said } = await say(path, text(2), socket => socket.write('peer-option=pty a\n\n'));
  t.equal(said, 'ask transport\nok done\n');
});

t.test('the reply may come while the question is open, and no question after it', async t => {
  const asked: Promise<string[] | undefined>[] = [];
  const { path } = await listen(t, {
    onEvent: async (_, ask) => {
      if (ask !== undefined) asked.push(ask());
      return { ok: true, text: 'done' };
    },
  });
  t.equal((await say(path, text(2))).said, 'ask transport\nok done\n');
  t.strictSame(await Promise.all(asked), [undefined]);

  let ask: (() => Promise<string[] | undefined>) | undefined;
  const late = await listen(t, {
    onEvent: async (_, given) => {
      ask = given;
      return { ok: true, text: 'done' };
    },
  });
  t.equal((await say(late.path, text(2))).said, 'ok done\n');
  t.equal(await ask?.(), undefined);
});

t.test('a client that sends without end is closed without an answer all the same', async t => {
  const { path } = await listen(t, { answerWithin: 300, onEvent: () => new Promise(() => {}) });
  const { said, milliseconds } = await say(path, text(2), undefined);
  t.equal(said, '');
  t.ok(milliseconds > 290 && milliseconds < 1000, `took ${milliseconds} ms`);
  const talker = net.connect(path);
  talker.on('error', () => {});
  talker.write(text(2));
  const talking = setInterval(() => talker.write('x'), 20);
  const started = performance.now();
  // once() of node:events would reject with the error that a reset connection has.
  await new Promise(resolve => talker.once('close', resolve));
  clearInterval(talking);
  t.ok(performance.now() - started < 1000);
});

t.test('no whole event, a wrong one, too many clients', async t => {
  const { path, refused, heard } = await listen(t, { patience: 200, most: 1 });
  t.match((await say(path, 'version=2\n')).said, /^error TIMEOUT no whole event within 200 ms\n$/);
  t.match((await say(path, text(3))).said, /^error VERSION version "3": .*versions 1 and 2/);
  const waiting = net.connect(path);
  await once(waiting, 'connect');
  t.match((await say(path, text(2))).said, /^error BUSY 1 clients/);
  waiting.destroy();
  t.strictSame(heard, []);
  t.equal(refused.length, 2);
});

// Hooks are files that outlive an upgrade: each side meets the other's older one.
for (const version of [1, 2]) {
  t.test(`the hook of version ${version}`, async t => {
    const { directory, path, heard } = await listen(t);
    await mkdir(join(directory, 'spool'));
    await writeFile(join(directory, 'work'), 'pty "pptp vpn.example.com"\n');
    const hook = version === 1 ? '../hooks/fixtures/version-1/ip-up' : '../../hooks/ip-up';
    const { stderr } = await execa(
      join(import.meta.dirname, hook),
      ['lo', '/dev/pts/3', '115200', '10.8.0.2', '10.8.0.1', 'work'],
      {
        extendEnv: false,
        env: { RUNTIME_DIRECTORY: directory, PPP_ROUTED_PEERS_DIRECTORY: directory, CALL_FILE: 'work' },
      },
    );
    t.equal(stderr, '');
    t.strictSame(await readdir(join(directory, 'spool')), []);
    t.equal(heard.length, 1, `once, at ${path}`);
    const peerOptions = ['pty "pptp vpn.example.com"'];
    const told = version === 1 ? { asked: false } : { asked: true, transport: peerOptions };
    t.match(heard, [
      { event: { version, interface: 'lo', peerOptions: version === 1 ? peerOptions : [] }, ...told },
    ]);
  });
}
