import { createServer, type Socket } from 'node:net';
import { nameLimit, resolveHere } from './names/resolver.ts';
import { activatedSockets } from './systemd/activation.ts';

/*
 * Looks names of VPN servers up, for the daemon. A program of its own, because name services speak to the Internet and load
 * whatever nsswitch.conf(5) says: this one may, and has no privilege at all; the daemon may change routes, and has no
 * Internet socket. Started by its socket at the first question, ends when there was none for a while.
 */

/** How long to wait for another question, in milliseconds. */
const patience = 20_000;

const descriptor = activatedSockets(process.env, process.pid).get('resolve');
if (descriptor === undefined) {
  console.error('ppp-routed-resolve: no socket was passed; systemd starts this (ppp-routed-resolve.socket)');
  process.exit(2);
}

const server = createServer({ allowHalfOpen: true }, socket => {
  idle.refresh();
  socket.setTimeout(patience, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  void readName(socket)
    .then(resolveHere)
    .then(
      addresses => socket.end(addresses.map(address => `${address}\n`).join('')),
      () => socket.end(),
    );
});
server.listen({ fd: descriptor });
// What comes after this waits in systemd's socket, and starts the next one.
const idle = setTimeout(() => server.close(), patience);

function readName(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', chunk => {
      text += chunk;
      if (text.length > nameLimit + 1) socket.destroy();
    });
    socket.on('end', () => resolve(text.trim()));
    socket.on('close', () => reject(new Error('the question was broken off')));
  });
}
