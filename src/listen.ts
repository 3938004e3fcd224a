import { chmod, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';

/** A socket at a path, or one that systemd listens on already. */
export type Place = { path: string; mode: number } | { fd: number };

/** Connections that may wait to be accepted. */
const backlog = 511;

/** Listens; a leftover socket file is replaced. @throws Error: another daemon answers, or the path is unusable. */
export async function listenAt(server: Server, place: Place): Promise<void> {
  if ('path' in place) {
    if (await isAnswered(place.path))
      throw new Error(`another ppp-routed is running: it answers at ${place.path}`);
    await unlink(place.path).catch(() => undefined);
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...('path' in place ? { path: place.path } : { fd: place.fd }), backlog }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  if ('path' in place) await chmod(place.path, place.mode);
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
