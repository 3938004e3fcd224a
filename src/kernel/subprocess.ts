import { spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

/** How a process came to its end; no exit status: it was ended by a signal, or never ran. */
export interface Ending {
  exitCode: number | undefined;
  hasRun: boolean;
  message: string;
}

/** A process that lives as long as it is asked things, or as it has something to tell. */
export interface Subprocess {
  /** A process that cannot be started has no end of its own to write to; what is written goes nowhere. */
  stdin: Writable;
  stdout: Readable;
  stderr: Readable;
  /** Never rejects. */
  ended: Promise<Ending>;
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
}

/**
 * Starts a process with that environment, in the C locale. It does not outlive us, but where we are killed.
 * Not by execa, which is for processes that are started, waited for and looked at: it is slow to load, and to start them.
 */
export function startSubprocess(argv: readonly string[], environment: NodeJS.ProcessEnv): Subprocess {
  const [command = '', ...words] = argv;
  const child = spawn(command, words, { stdio: 'pipe', env: { ...environment, LC_ALL: 'C' } });
  const kill = (signal: 'SIGTERM' | 'SIGKILL') => void child.kill(signal);
  const killAtExit = () => kill('SIGKILL');
  process.on('exit', killAtExit);
  const ended = new Promise<Ending>(resolve => {
    child.on('error', error => resolve({ exitCode: undefined, hasRun: false, message: error.message }));
    child.on('close', (code, signal) => {
      const how = signal === null ? `exit status ${code}` : signal;
      resolve({ exitCode: code ?? undefined, hasRun: true, message: `${command} ended: ${how}` });
    });
  });
  void ended.then(() => process.off('exit', killAtExit));
  return { stdin: child.stdin, stdout: child.stdout, stderr: child.stderr, ended, kill };
}

/** Calls back for every line of a stream. */
export function splitLines(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
  stream.on('error', () => undefined);
}
