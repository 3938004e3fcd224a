import { lookup } from 'node:dns/promises';
import { connect } from 'node:net';

/** Every address of a name, by nsswitch.conf(5). Rejects where there is none. `signal`: nobody waits any more. */
export type Resolve = (name: string, signal: AbortSignal) => Promise<string[]>;

/** Longest name of the DNS, in bytes. */
export const nameLimit = 255;

/** Longest answer that is taken, in characters: some hundred addresses. */
const answerLimit = 16_384;

/** Asks in this process. */
export const resolveHere = async (name: string): Promise<string[]> => {
  const answers = await lookup(name, { all: true });
  return answers.map(({ address }) => address);
};

/** Asks src/ppp-routed-resolve.ts: a name there, an address a line back. The daemon itself has no Internet sockets. */
export function resolveAt(path: string): Resolve {
  return (name, signal) =>
    new Promise((resolve, reject) => {
      let answer = '';
      const socket = connect({ path, signal }, () => socket.end(`${name}\n`));
      socket.setEncoding('utf8');
      socket.on('data', text => {
        answer += text;
        if (answer.length > answerLimit) socket.destroy(new Error('the answer is too long'));
      });
      socket.on('error', reject);
      socket.on('end', () => resolve(answer.split('\n').filter(Boolean)));
    });
}
