import { writeSync } from 'node:fs';
import { type DestinationStream, type Logger, pino } from 'pino';

/** pino's levels as priorities of syslog(3). */
const priorities: Record<string, number> = {
  fatal: 2,
  error: 3,
  warn: 4,
  notice: 5,
  info: 6,
  debug: 7,
  trace: 7,
};

/** A log whose lines read like sentences; fields of systemd.journal-fields(7) go with them for programs. */
export type Journal = Logger<'notice'>;

interface Entry {
  priority: number;
  text: string;
  fields: Record<string, string>;
}

/**
 * Entries with their fields for journald where the start wrapper left a connected descriptor behind; else, and whenever
 * journald does not take one, a line on standard output: `<N>` before it where systemd reads it (sd-daemon(3)), plain
 * where a person does. The journal may be gone (EPIPE): that must not stop the work.
 */
export function createJournal(environment: NodeJS.ProcessEnv): Journal {
  const descriptor = Number(environment.PPP_ROUTED_JOURNAL_FD ?? Number.NaN);
  const prefixed = environment.JOURNAL_STREAM !== undefined;
  process.stdout.on('error', () => undefined);
  const said: string[] = [];
  const tell = () => {
    const entries = said.splice(0).map(readEntry);
    const rest = Number.isInteger(descriptor) ? entries.filter(entry => !send(descriptor, entry)) : entries;
    // Where nobody reads, what was not read is not hoarded without end.
    if (rest.length > 0 && process.stdout.writableLength < mostUnread)
      process.stdout.write(rest.map(entry => lineOf(entry, prefixed)).join(''));
  };
  process.once('exit', tell);
  // The routes first, and then what there is to say of them; flush() is for whoever is about to answer.
  const write = (json: string) => {
    if (said.push(json) === 1) setImmediate(tell);
  };
  return pino<'notice'>(
    {
      base: null,
      timestamp: false,
      level: environment.PPP_ROUTED_LOG_LEVEL ?? 'info',
      customLevels: { notice: 35 },
      formatters: { level: label => ({ level: label }) },
    },
    { write, flush: tell } as DestinationStream,
  );
}

/** Bytes: some thousand lines. */
const mostUnread = 1_000_000;

function readEntry(json: string): Entry {
  const { level, msg, ...rest }: Record<string, unknown> = JSON.parse(json);
  const fields = Object.entries(rest).flatMap(([name, value]) =>
    isFieldName(name) ? [[name, String(value)]] : [],
  );
  return {
    priority: priorities[String(level)] ?? 6,
    text: String(msg ?? ''),
    fields: Object.fromEntries(fields),
  };
}

/** journald drops fields whose names are not like this, and keeps those with a leading underscore for itself. */
function isFieldName(name: string): boolean {
  return /^[A-Z][A-Z0-9_]{0,63}$/.test(name);
}

/**
 * One datagram, the Native Journal Protocol of systemd's documentation.
 * @returns false where journald does not take it: it is away (ECONNREFUSED, ENOTCONN), does not keep up (EAGAIN), or it
 *   is too long (EMSGSIZE; longer ones would have to go as a descriptor, which Node cannot pass).
 */
function send(descriptor: number, { priority, text, fields }: Entry): boolean {
  const all = { MESSAGE: text, PRIORITY: `${priority}`, SYSLOG_IDENTIFIER: 'ppp-routed', ...fields };
  const datagram = Buffer.concat(Object.entries(all).map(([name, value]) => fieldOf(name, value)));
  try {
    writeSync(descriptor, datagram);
    return true;
  } catch {
    return false;
  }
}

/** `NAME=value`, or where the value has a newline: the name, its length in 64 bits, little-endian, and the value. */
function fieldOf(name: string, value: string): Buffer {
  if (!value.includes('\n')) return Buffer.from(`${name}=${value}\n`);
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([Buffer.from(`${name}\n`), length, bytes, Buffer.from('\n')]);
}

function lineOf({ priority, text }: Entry, prefixed: boolean): string {
  const line = text.replaceAll('\n', ' ');
  if (prefixed) return `<${priority}>${line}\n`;
  const level = Object.keys(priorities).find(name => priorities[name] === priority);
  return `${level === 'info' ? '' : `${level}: `}${line}\n`;
}
