import { type Logger, pino } from 'pino';

/** pino's levels as priorities of syslog(3): sd-daemon(3) reads `<N>` at the beginning of a line. */
const priorities: Record<string, number> = {
  fatal: 2,
  error: 3,
  warn: 4,
  notice: 5,
  info: 6,
  debug: 7,
  trace: 7,
};

/** A log whose lines read like sentences; fields go with them for programs. */
export type Journal = Logger<'notice'>;

/**
 * One line a message on standard output: with a priority where systemd reads it, plain where a person does.
 * The journal may be gone (EPIPE): that must not stop the work.
 */
export function createJournal(environment: NodeJS.ProcessEnv): Journal {
  const prefixed = environment.JOURNAL_STREAM !== undefined;
  process.stdout.on('error', () => undefined);
  return pino<'notice'>(
    {
      base: null,
      timestamp: false,
      level: environment.PPP_ROUTED_LOG_LEVEL ?? 'info',
      customLevels: { notice: 35 },
      formatters: { level: label => ({ level: label }) },
    },
    { write: line => void process.stdout.write(lineOf(line, prefixed)) },
  );
}

function lineOf(json: string, prefixed: boolean): string {
  const { level, msg }: { level: string; msg?: string } = JSON.parse(json);
  const text = (msg ?? '').replaceAll('\n', ' ');
  return prefixed
    ? `<${priorities[level] ?? 6}>${text}\n`
    : `${level === 'info' ? '' : `${level}: `}${text}\n`;
}
