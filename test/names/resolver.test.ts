// What is asked of the program that looks names up, and what becomes of a question that it does not answer.
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { createLookUp } from '../../src/names/names.ts';
import { type Resolve, resolveAt } from '../../src/names/resolver.ts';

const name = 'vpn.example.com';

/** A program at a socket that does this with each question; the connections to it that are open. */
async function programOf(t: Test, answer: (socket: Socket) => void) {
  const directory = await mkdtemp(join(tmpdir(), 'resolver-'));
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, socket => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => undefined);
    socket.resume();
    answer(socket);
  });
  const path = join(directory, 'resolve.sock');
  await new Promise<void>(resolve => server.listen(path, resolve));
  t.teardown(async () => {
    for (const socket of open) socket.destroy();
    server.close();
    await rm(directory, { recursive: true });
  });
  return { resolve: resolveAt(path), open };
}

async function find(resolve: Resolve) {
  return createLookUp(resolve)([name]);
}

t.test('an address a line', async t => {
  const { resolve } = await programOf(t, socket => socket.end('203.0.113.5\n2001:db8::5\nnonsense\n'));
  t.same(await find(resolve), { servers: ['203.0.113.5', '2001:db8::5'], unresolved: [] });
});

t.test('a question that has no answer in time is taken back', async t => {
  const { resolve, open } = await programOf(t, socket => {
    // Who only listens does not hear of it.
    const talk = setInterval(() => socket.write('\n'), 10);
    socket.on('close', () => clearInterval(talk));
  });
  t.same(await find(resolve), { servers: [], unresolved: [name] });
  for (let tries = 0; open.size > 0 && tries < 100; tries++) await sleep(20);
  t.equal(open.size, 0, 'no connection is left');
});

t.test('an answer without end is not taken', async t => {
  const { resolve } = await programOf(t, socket => {
    const more = () => {
      while (socket.writable && socket.write('203.0.113.5\n'.repeat(1000)));
    };
    socket.on('drain', more);
    more();
  });
  await t.rejects(resolve(name, AbortSignal.timeout(10_000)), { message: 'the answer is too long' });
});
