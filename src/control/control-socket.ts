import { createServer, type Server } from 'node:net';
import * as v from 'valibot';
import { reasonOf } from '../core/tell/reason.ts';

/** What ppp-routectl may ask: one JSON line there, one JSON line back. */
export const RequestSchema = v.variant('command', [
  v.strictObject({ command: v.literal('status') }),
  v.strictObject({ command: v.literal('observe') }),
  v.strictObject({ command: v.literal('restore') }),
  v.strictObject({ command: v.literal('reload') }),
  /** `event` as a hook would send it: docs/wire.md. */
  v.strictObject({ command: v.literal('plan'), event: v.string() }),
]);
export type Request = v.InferOutput<typeof RequestSchema>;

export type Answers = (request: Request) => Promise<unknown>;

const requestLimit = 8192;
/** How long a client may take over its question, in milliseconds. */
const patience = 1000;

/** The admin's socket. A question that fails is answered with `{"error": …}`. */
export function createControlSocket(answers: Answers): Server {
  return createServer({ allowHalfOpen: true }, socket => {
    let text = '';
    let asked = false;
    socket.setEncoding('utf8');
    // What came while there was no processor for us is read first.
    socket.setTimeout(patience, () => setImmediate(() => asked || socket.destroy()));
    socket.on('error', () => socket.destroy());
    socket.on('end', () => {
      if (!asked) socket.destroy();
    });
    socket.on('data', (chunk: string) => {
      if (asked) return;
      text += chunk;
      if (text.length > requestLimit) return void socket.destroy();
      const end = text.indexOf('\n');
      if (end < 0) return;
      asked = true;
      socket.setTimeout(0);
      void answerTo(answers, text.slice(0, end)).then(answer => {
        socket.setTimeout(patience, () => socket.destroy());
        socket.end(`${JSON.stringify(answer)}\n`, () => socket.destroySoon());
      });
    });
  });
}

async function answerTo(answers: Answers, line: string): Promise<unknown> {
  try {
    return { answer: await answers(v.parse(RequestSchema, JSON.parse(line))) };
  } catch (error) {
    return { error: reasonOf(error) };
  }
}
