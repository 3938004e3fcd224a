import { isUtf8 } from 'node:buffer';

/** The form of everything on the hooks' socket: `key=value` lines and an empty line. docs/wire.md has the limits. */

export type ReplyCode = 'VERSION' | 'FIELD' | 'SIZE' | 'TIMEOUT' | 'STATE' | 'ROUTE' | 'SERVER' | 'BUSY';

/** Why an event was not taken. `code` goes to the hook, the message says which field and what was expected. */
export class EventError extends Error {
  override readonly name = 'EventError';
  readonly code: ReplyCode;
  constructor(code: ReplyCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Bytes of one message, the empty line at its end included. */
export const messageLimit = 4096;
const valueLimit = 255;
const repeatable = new Set(['peer-option', 'unusable']);
const peerOptionLimit = 4;

/** Do these bytes hold a whole message? A message ends with an empty line, and may have no other. */
export function isComplete(bytes: Buffer): boolean {
  return bytes[0] === 0x0a || bytes.includes('\n\n');
}

/** Reads the lines of a message, by key. Every byte is hostile. @throws EventError with FIELD or SIZE. */
export function readFields(bytes: Buffer): Map<string, string[]> {
  if (bytes.length > messageLimit)
    throw new EventError('SIZE', `a message is at most ${messageLimit} bytes, this has ${bytes.length}`);
  if (!isUtf8(bytes)) throw new EventError('FIELD', 'the text is not UTF-8');
  const text = bytes.toString();
  const fields = new Map<string, string[]>();
  for (const line of text.split('\n')) if (line !== '') addLine(fields, line);
  return fields;
}

function addLine(fields: Map<string, string[]>, line: string): void {
  const cut = line.indexOf('=');
  const key = line.slice(0, Math.max(cut, 0));
  if (!/^[a-z][a-z0-9-]{0,31}$/.test(key))
    throw new EventError('FIELD', `${quote(line)} is not a key=value line`);
  const value = line.slice(cut + 1);
  if (hasControl(value)) throw fieldError(key, value, 'no control characters');
  if (Buffer.byteLength(value) > valueLimit) throw fieldError(key, value, `at most ${valueLimit} bytes`);
  const values = fields.get(key) ?? [];
  if (values.length > 0 && !repeatable.has(key)) throw new EventError('FIELD', `${key} stands twice`);
  values.push(value);
  if (key === 'peer-option' && values.length > peerOptionLimit)
    throw new EventError('FIELD', `more than ${peerOptionLimit} peer-option lines`);
  fields.set(key, values);
}

export function fieldError(key: string, value: string | undefined, expected: string): EventError {
  const is = value === undefined ? 'is missing or was unusable' : `is ${quote(value)}`;
  return new EventError('FIELD', `${key} ${is}; expected ${expected}`);
}

/** C0, DEL and C1: none of them may reach a log line, a terminal or an argument. */
function hasControl(text: string): boolean {
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return true;
  }
  return false;
}

/** A hostile value, short and on one line, fit for a message. */
export function quote(value: string): string {
  return oneLine(JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value));
}

/** A message that repeats what others wrote, fit for a journal and a terminal: controls escaped, at most 500 characters. */
export function oneLine(message: string): string {
  const text = message.length > 500 ? `${message.slice(0, 500)}…` : message;
  return text.replace(/\p{Cc}/gu, control => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
