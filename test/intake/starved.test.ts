// A daemon that had no processor for longer than its patience: what came meanwhile is read before it is late.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createControlSocket } from '../../src/control/control-socket.ts';
import { createHookSocket } from '../../src/intake/hook-socket.ts';

/** Connects, says a first part, says the rest after a moment, and prints what it is answered. */
const client = `
  const [path, first, rest] = process.argv.slice(1);
  const socket = require('node:net').connect(path, () => {
    socket.write(first);
    setTimeout(() => socket.write(rest), 300);
  });
  socket.on('data', data => process.stdout.write(data));
  socket.on('error', error => process.stdout.write(error.code));
  socket.on('end', () => socket.destroy());
`;

for (const [name, first, rest, wanted] of [
  ['the hooks', 'version=1\n', 'event=ip-down\ninterface=ppp0\n\n', 'ok fine\n'],
  ['ppp-routectl', '{"command":', '"status"}\n', '{"answer":"fine"}\n'],
] as const) {
  t.test(`the socket of ${name}`, async t => {
    const server =
      name === 'the hooks'
        ? createHookSocket({
            patience: 1000,
            answerWithin: 3000,
            most: 9,
            onEvent: async () => ({ ok: true, text: 'fine' }),
            onRefused: () => undefined,
          })
        : createControlSocket(async () => 'fine');
    const path = await listen(t, server);
    // Its first part has been read, and then nothing is done for longer than it may take.
    server.once('connection', socket => socket.once('data', () => setImmediate(starve)));
    const asked = spawn(process.execPath, ['-e', client, path, first, rest], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    asked.stdout.on('data', chunk => {
      said += chunk;
    });
    await new Promise(resolve => asked.on('close', resolve));
    t.equal(said, wanted);
  });
}

function starve(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500);
}

async function listen(t: Test, server: Server): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'starved-'));
  t.teardown(() => rm(directory, { recursive: true }));
  t.teardown(() => server.close());
  const path = join(directory, 'socket');
  await new Promise<void>(resolve => server.listen(path, resolve));
  return path;
}
