import { createServer, type Server, type Socket } from 'node:net';
import {
  decodeEvent,
  EventError,
  eventLimit,
  isComplete,
  type LinkEvent,
  type ReplyCode,
} from '../core/link/event.ts';

/** The daemon's answer to an event; `text` is one line. */
export type Reply =
  | { ok: true; text: string }
  /** `saved`: what the event changed is in memory only, and on disk when this resolves. */
  | { ok: false; code: ReplyCode; text: string; saved?: Promise<void> };

export interface HookSocketOptions {
  /** How long a client may take to send its event, in milliseconds. */
  patience: number;
  /** How long the answer may take before the connection is closed without one, in milliseconds. */
  answerWithin: number;
  /** How many clients may be connected at once. */
  most: number;
  onEvent(event: LinkEvent): Promise<Reply>;
  onRefused(error: EventError): void;
}

/** The socket that the hooks talk to: one connection, one event, one line in answer. docs/wire.md has the limits. */
export function createHookSocket(options: HookSocketOptions): Server {
  let connected = 0;
  // A client that has sent all it has closes its side; the answer still goes out.
  return createServer({ allowHalfOpen: true }, socket => {
    connected++;
    socket.on('close', () => connected--);
    socket.on('error', () => socket.destroy());
    if (connected > options.most) {
      answer(socket, { ok: false, code: 'BUSY', text: `${options.most} clients are connected already` });
      return;
    }
    readEvent(socket, options.patience).then(
      event => {
        // The hook has given up long before; that it went away is not heard until something is written.
        socket.setTimeout(options.answerWithin, () => socket.destroy());
        options.onEvent(event).then(
          reply => answer(socket, reply),
          () => socket.destroy(),
        );
      },
      (error: unknown) => {
        if (!(error instanceof EventError)) return socket.destroy();
        options.onRefused(error);
        answer(socket, { ok: false, code: error.code, text: error.message });
      },
    );
  });
}

/** Reads up to the empty line. A client that half-closes without one has sent an incomplete event. */
function readEvent(socket: Socket, patience: number): Promise<LinkEvent> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const giveUp = () =>
      finish(() => reject(new EventError('TIMEOUT', `no whole event within ${patience} ms`)));
    // What came while there was no processor for us is read first.
    const timer = setTimeout(() => setImmediate(giveUp), patience);
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      socket.removeAllListeners('data');
      socket.removeAllListeners('end');
      socket.resume();
      settle();
    };
    const decode = () => {
      try {
        const event = decodeEvent(bytes);
        finish(() => resolve(event));
      } catch (error) {
        finish(() => reject(error));
      }
    };
    socket.on('data', chunk => {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length > eventLimit || isComplete(bytes)) decode();
    });
    socket.on('end', () => {
      finish(() => reject(new EventError('FIELD', 'the event is incomplete: no empty line at its end')));
    });
    socket.on('close', () => finish(() => reject(new Error('the client went away'))));
  });
}

function answer(socket: Socket, reply: Reply): void {
  if (socket.destroyed) return;
  const line = reply.ok ? `ok ${reply.text}` : `error ${reply.code} ${reply.text}`;
  // A client that does not read may not hold the connection for ever.
  socket.setTimeout(1000, () => socket.destroy());
  socket.end(`${line.replaceAll('\n', ' ')}\n`, () => socket.destroySoon());
}
