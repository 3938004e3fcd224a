import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { PassThrough, type Readable, type Writable } from 'node:stream';
import { reasonOf } from '../core/tell/reason.ts';

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
 * Not by execa: it is slow to load and to start them, and where no descriptor is left its error is nobody's to catch.
 */
export function startSubprocess(argv: readonly string[], environment: NodeJS.ProcessEnv): Subprocess {
  const [command = '', ...words] = argv;
  let child: ChildProcessWithoutNullStreams;
  try {
    child = spawn(command, words, { stdio: 'pipe', env: { ...environment, LC_ALL: 'C' } });
  } catch (error) {
    // Some of what stops fork(2) and execve(2) is thrown, and some told by and by.
    const ending = { exitCode: undefined, hasRun: false, message: reasonOf(error) };
    return { ...stillborn(), ended: Promise.resolve(ending), kill: () => undefined };
  }
  // One that could not be started has the number 0 for a moment, and kill(2) takes that for the whole of our process group.
  const kill = (signal: 'SIGTERM' | 'SIGKILL') => void (child.pid !== undefined && child.kill(signal));
  running.add(kill);
  const ended = new Promise<Ending>(resolve => {
    child.on('error', error => resolve({ exitCode: undefined, hasRun: false, message: error.message }));
    child.on('close', (code, signal) => {
      const how = signal === null ? `exit status ${code}` : signal;
      resolve({ exitCode: code ?? undefined, hasRun: true, message: `${command} ended: ${how}` });
    });
  });
  void ended.then(() => running.delete(kill));
  // Where no descriptors are left there are no streams.
  const { stdin, stdout, stderr }: Partial<typeof child> = child;
  const streams = stdin && stdout && stderr ? { stdin, stdout, stderr } : stillborn();
  return { ...streams, ended, kill };
}

/** How to end each process that has not ended yet. */
const running = new Set<Subprocess['kill']>();
process.on('exit', () => {
  for (const kill of running) kill('SIGKILL');
});

/** The streams of a process that never was: nobody reads, and nothing comes. */
function stillborn(): Pick<Subprocess, 'stdin' | 'stdout' | 'stderr'> {
  return { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
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
