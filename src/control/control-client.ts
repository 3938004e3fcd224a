import { connect } from 'node:net';
import { reasonOf } from '../core/tell/reason.ts';
import type { Request } from './control-socket.ts';

/** `late`: the daemon hangs. `broken`: it went away, or makes no sense. `refused`: it could not, and says why. */
export type ControlFault = 'absent' | 'denied' | 'late' | 'broken' | 'refused';

export class ControlError extends Error {
  override readonly name = 'ControlError';
  readonly code: ControlFault;
  constructor(code: ControlFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface Line {
  /** Of control.sock. */
  path: string;
  /** How long the daemon may take, in milliseconds. */
  patience: number;
}

/**
 * Asks the daemon one thing: one JSON line there, one JSON line back.
 * @returns the answer, not looked at yet.
 * @throws ControlError
 */
export async function ask({ path, patience }: Line, request: Request): Promise<unknown> {
  const reply = readReply(await exchange({ path, patience }, `${JSON.stringify(request)}\n`));
  if (reply !== undefined && 'answer' in reply) return reply.answer;
  if (reply !== undefined && 'error' in reply && typeof reply.error === 'string')
    throw new ControlError('refused', reply.error);
  throw new ControlError('broken', `what ppp-routed said at ${path} is no answer`);
}

function exchange({ path, patience }: Line, question: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: string[] = [];
    const socket = connect({ path }, () => socket.write(question));
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      socket.destroy();
      settle();
    };
    const timer = setTimeout(() => {
      const seconds = patience / 1000;
      finish(() =>
        reject(new ControlError('late', `ppp-routed did not answer at ${path} within ${seconds} s`)),
      );
    }, patience);
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      chunks.push(chunk);
      if (chunk.includes('\n')) finish(() => resolve(chunks.join('')));
    });
    socket.on('end', () =>
      finish(() => reject(new ControlError('broken', `ppp-routed hung up at ${path} without an answer`))),
    );
    socket.on('error', cause => finish(() => reject(faultOf(cause, path))));
  });
}

function faultOf(cause: Error, path: string): ControlError {
  const code = 'code' in cause ? cause.code : undefined;
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ECONNREFUSED':
      return new ControlError('absent', `no ppp-routed answers at ${path}`, { cause });
    case 'EACCES':
    case 'EPERM':
      return new ControlError('denied', `you are not allowed to use ${path}`, { cause });
    // The queue of connections is full: somebody listens and does not accept.
    case 'EAGAIN':
      return new ControlError('late', `ppp-routed does not accept connections at ${path}`, { cause });
    default:
      return new ControlError('broken', `ppp-routed cannot be asked at ${path}: ${reasonOf(cause)}`, {
        cause,
      });
  }
}

function readReply(line: string): object | undefined {
  try {
    const reply: unknown = JSON.parse(line);
    return typeof reply === 'object' && reply !== null ? reply : undefined;
  } catch {
    return undefined;
  }
}
