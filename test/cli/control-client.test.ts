import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import t, { type Test } from 'tap';
import { ask, ControlError } from '../../src/control/control-client.ts';
import { createControlSocket } from '../../src/control/control-socket.ts';

/** A daemon that does this with every connection. */
async function daemonThat(t: Test, does: (socket: net.Socket) => void): Promise<string> {
  return listen(t, net.createServer(does));
}

async function listen(t: Test, server: net.Server): Promise<string> {
  const path = join(await directoryFor(t), 'control.sock');
  await new Promise<void>(resolve => server.listen(path, resolve));
  const sockets = new Set<net.Socket>();
  server.on('connection', socket => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return path;
}

async function directoryFor(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'control-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** The code and the message of the failure. */
async function failureOf(path: string, patience = 2000): Promise<string> {
  try {
    await ask({ path, patience }, { command: 'status' });
    return 'no failure';
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    return `${error.code}: ${error.message.replace(path, 'PATH')}`;
  }
}

t.test('the daemon and its client understand each other', async t => {
  const path = await listen(
    t,
    createControlSocket(async ({ command }) => {
      if (command === 'reload') throw new Error('no leave to read it');
      return { command, long: 'x'.repeat(300_000) };
    }),
  );
  t.match(await ask({ path, patience: 2000 }, { command: 'observe' }), {
    command: 'observe',
    long: /^x{300000}$/,
  });
  await t.rejects(ask({ path, patience: 2000 }, { command: 'reload' }), {
    code: 'refused',
    message: 'no leave to read it',
  });
});

t.test('every way in which there is no answer', async t => {
  const absent = join(await directoryFor(t), 'control.sock');
  t.equal(await failureOf(absent), 'absent: no ppp-routed answers at PATH', 'no socket');

  const leftover = await daemonThat(t, () => undefined);
  await execa('perl', [
    '-MSocket',
    '-e',
    'unlink $ARGV[0]; socket(S, AF_UNIX, SOCK_STREAM, 0); bind(S, pack_sockaddr_un($ARGV[0])) or die',
    leftover,
  ]);
  t.equal(
    await failureOf(leftover),
    'absent: no ppp-routed answers at PATH',
    'a socket file that nobody listens on',
  );

  const hangs = await daemonThat(t, socket => socket.resume());
  t.equal(await failureOf(hangs, 60), 'late: ppp-routed did not answer at PATH within 0.06 s', 'it hangs');

  const dribbles = await daemonThat(t, socket => void setInterval(() => socket.write(' '), 20).unref());
  t.match(await failureOf(dribbles, 100), /^late: /, 'it says something, but never all of it');

  const dies = await daemonThat(t, socket => socket.once('data', () => socket.end('{"answer": {')));
  t.equal(await failureOf(dies), 'broken: ppp-routed hung up at PATH without an answer', 'it dies');

  for (const nonsense of ['not json', '[]', '17', 'null', '{}', '{"error": 5}']) {
    const raves = await daemonThat(t, socket => socket.once('data', () => socket.end(`${nonsense}\n`)));
    t.equal(await failureOf(raves), 'broken: what ppp-routed said at PATH is no answer', nonsense);
  }
});

t.test('an answer that comes in pieces is put together', async t => {
  const path = await daemonThat(t, socket =>
    socket.once('data', () => {
      socket.write('{"answer": "gr');
      setTimeout(() => socket.end('ün"}\n'), 20);
    }),
  );
  t.equal(await ask({ path, patience: 2000 }, { command: 'status' }), 'grün');
});
