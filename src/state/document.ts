import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import * as v from 'valibot';
import { oneLine } from '../core/link/fields.ts';
import { hasCode, reasonOf } from '../core/tell/reason.ts';

/** What a file of the state turned out to be; `why` completes a sentence that begins with its path. */
export type Reading<T> =
  | { is: 'missing' }
  | { is: 'of another boot' }
  | { is: 'unreadable'; why: string }
  | { is: 'read'; content: T };

/** The text of a file: JSON, indented for whoever reads it, with a checksum over the rest. */
export function documentOf(content: object): string {
  return `${JSON.stringify({ ...content, checksum: checksumOf(content) }, undefined, 2)}\n`;
}

/** Reads what `documentOf` made, or a person (no checksum). Never throws, never waits for another process. */
export function readDocument<T extends { bootId: string }>(
  path: string,
  { bootId, form, mostBytes }: { bootId: string; form: v.GenericSchema<unknown, T>; mostBytes: number },
): Reading<T> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readPlainText(path, mostBytes));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return { is: 'missing' };
    if (error instanceof SyntaxError) return unreadable('is not JSON, or cut short');
    return unreadable(`cannot be read: ${reasonOf(error)}`);
  }
  const { checksum, ...rest }: Record<string, unknown> = Object(parsed);
  const itsBoot = typeof rest.bootId === 'string' ? rest.bootId : undefined;
  // A flipped bit can leave a route that reads well and leads astray.
  if (checksum !== undefined && checksum !== checksumOf(rest)) {
    if (itsBoot !== undefined && isAnotherBootId(itsBoot, bootId)) return { is: 'of another boot' };
    return unreadable('is damaged: its checksum does not fit');
  }
  if (itsBoot !== undefined && itsBoot !== bootId) return { is: 'of another boot' };
  const result = v.safeParse(form, parsed);
  if (result.success) return { is: 'read', content: result.output };
  const [issue] = result.issues;
  return unreadable(oneLine(`is not a state: ${v.getDotPath(issue) ?? 'the whole'}: ${issue.message}`));
}

export function unreadable(why: string): { is: 'unreadable'; why: string } {
  return { is: 'unreadable', why };
}

/** The text of a plain file. @throws Error of node:fs, or where it is none, or too long. */
export function readPlainText(path: string, mostBytes: number): string {
  // Opening a fifo for reading would wait for a writer.
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const found = fstatSync(descriptor);
    if (!found.isFile()) throw new Error('not a plain file');
    if (found.size > mostBytes) throw tooLong(found.size, mostBytes);
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}

export function tooLong(length: number, mostBytes: number): Error {
  return new Error(`too long: ${length} bytes, and ${mostBytes} at most are read`);
}

/** Did somebody put another boot's id in? A flipped bit changes one character; two make ones that no id has. */
function isAnotherBootId(theirs: string, ours: string): boolean {
  if (Math.abs(theirs.length - ours.length) > 1) return true;
  const differing = [...theirs].filter((character, at) => character !== ours[at]);
  return differing.length > 1 && /^[\da-f-]+$/.test(theirs);
}

function checksumOf(content: object): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}
