import { createServer, type Server, type Socket } from 'node:net';
import { decodeEvent, type LinkEvent } from '../core/link/event.ts';
import { EventError, isComplete, messageLimit, type ReplyCode } from '../core/link/fields.ts';
import { decodeTransport } from '../core/link/transport.ts';

/** The daemon's answer to an event; `text` is one line. */
export type Reply =
  | { ok: true; text: string }
  /** `saved`: what the event changed is in memory only, and on disk when this resolves. */
  | { ok: false; code: ReplyCode; text: string; saved?: Promise<void> };

/** Asks the hook, once, for the peer-options of its link; undefined: no sound answer in 300 ms. Never rejects. */
export type AskTransport = () => Promise<string[] | undefined>;

export interface HookSocketOptions {
  /** How long a client may take to send its event, in milliseconds. */
  patience: number;
  /** How long the answer may take before the connection is closed without one, in milliseconds. */
  answerWithin: number;
  /** How many clients may be connected at once. */
  most: number;
  /** `ask` is undefined where the hook cannot be asked: an event of version 1 holds its peer-options. */
  onEvent(event: LinkEvent, ask: AskTransport | undefined): Promise<Reply>;
  /** An event, or an answer of a hook, was not taken. */
  onRefused(error: EventError): void;
}

/** How long a hook may take to say what it was asked for, in milliseconds. */
const transportWithin = 300;

/** The socket that the hooks talk to: one connection, one event, one line in answer. docs/wire.md has the limits. */
export function createHookSocket(options: HookSocketOptions): Server {
  let connected = 0;
  // A hook of version 1 closes its side when it has sent all; the answer still goes out.
  return createServer({ allowHalfOpen: true }, socket => {
    connected++;
    socket.on('close', () => connected--);
    socket.on('error', () => socket.destroy());
    if (connected > options.most) {
      answer(socket, { ok: false, code: 'BUSY', text: `${options.most} clients are connected already` });
      return;
    }
    serve(socket, options).catch((error: unknown) => {
      if (!(error instanceof EventError)) return socket.destroy();
      options.onRefused(error);
      answer(socket, { ok: false, code: error.code, text: error.message });
    });
  });
}

async function serve(socket: Socket, options: HookSocketOptions): Promise<void> {
  const event = decodeEvent(await readMessage(socket, options.patience));
  // The hook has given up long before. That it went away is not known until something is written.
  const timer = setTimeout(() => socket.destroy(), options.answerWithin);
  socket.on('close', () => clearTimeout(timer));
  answer(socket, await options.onEvent(event, event.version === 2 ? createAsk(socket, options) : undefined));
}

function createAsk(socket: Socket, { onRefused }: HookSocketOptions): AskTransport {
  let answered: Promise<string[] | undefined> | undefined;
  const ask = async () => {
    if (!socket.writable || !socket.readable) return undefined;
    socket.write('ask transport\n');
    const bytes = await readMessage(socket, transportWithin).catch(() => undefined);
    if (bytes === undefined) return undefined;
    try {
      return decodeTransport(bytes);
    } catch (error) {
      if (error instanceof EventError) onRefused(error);
      return undefined;
    }
  };
  return () => {
    answered ??= ask();
    return answered;
  };
}

/** Reads up to the empty line or the limit. @throws EventError: late or incomplete; Error: the client went away. */
function readMessage(socket: Socket, patience: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      socket.off('data', onData).off('end', onEnd).off('close', onClose);
      socket.resume();
      settle();
    };
    const onData = (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length > messageLimit || isComplete(bytes)) finish(() => resolve(bytes));
    };
    const onEnd = () =>
      finish(() => reject(new EventError('FIELD', 'the event is incomplete: no empty line at its end')));
    const onClose = () => finish(() => reject(new Error('the client went away')));
    const onTimeout = () =>
      finish(() => reject(new EventError('TIMEOUT', `no whole event within ${patience} ms`)));
    // What came while there was no processor for us is read first.
    const timer = setTimeout(() => setImmediate(onTimeout), patience);
    socket.on('data', onData).on('end', onEnd).on('close', onClose);
  });
}

function answer(socket: Socket, reply: Reply): void {
  if (socket.destroyed) return;
  const line = reply.ok ? `ok ${reply.text}` : `error ${reply.code} ${reply.text}`;
  // A client that does not read may not hold the connection for ever.
  socket.setTimeout(1000, () => socket.destroy());
  socket.end(`${line.replaceAll('\n', ' ')}\n`, () => socket.destroySoon());
}
