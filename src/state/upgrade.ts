import { createHash } from 'node:crypto';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Link } from '../core/link/link.ts';
import { LinkSchema, type SavedDefault } from '../core/link/state.ts';
import { reasonOf } from '../core/tell/reason.ts';
import { type Reading, readDocument, readPlainText, unreadable } from './document.ts';
import { mostBytes, type Whole, WholeForm } from './form.ts';
import { discard, discardAll } from './whole-file.ts';

/** What a state directory, or a file of it, holds. */
export interface Content {
  /** The number of its form. */
  schema: number;
  savedDefaults: SavedDefault[];
  links: Link[];
}

/** `state.json`, its copy, and the generation before it, which is the last resort. */
const names = ['state.json', 'state.json.copy', 'state.json.previous'];

/** The state that the version before left in its directory. Never throws. */
export function readStateBefore(directory: string, bootId: string): Reading<Content> {
  let result: Reading<Content> = { is: 'missing' };
  for (const path of names.map(name => join(directory, name))) {
    const reading = readDocument(path, { bootId, form: WholeForm, mostBytes });
    const whole = reading.is === 'read' ? contentOf(reading.content, directory) : reading;
    if (whole.is === 'read' || whole.is === 'of another boot') return whole;
    if (whole.is === 'unreadable' && result.is === 'missing') result = unreadable(`${path} ${whole.why}`);
  }
  return result;
}

/** What `state.json` stands for: in form 1 most of many links are in a file beside it. */
export function contentOf(
  {
    schema,
    savedDefaults,
    links = [],
    more,
  }: Omit<Content, 'links'> & Partial<Pick<Whole, 'links' | 'more'>>,
  directory: string,
): Reading<Content> {
  if (more === undefined) return { is: 'read', content: { schema, savedDefaults, links } };
  try {
    const text = readPlainText(join(directory, more.file), mostBytes);
    if (nameFor(text) !== more.file)
      return unreadable(`cannot be read: ${more.file} is damaged: its contents do not fit its name`);
    const read = v.parse(v.array(LinkSchema), JSON.parse(text));
    const superseded = new Set([...more.gone, ...links.map(keyOf)]);
    const rest = read.filter(link => !superseded.has(keyOf(link)));
    return { is: 'read', content: { schema, savedDefaults, links: [...rest, ...links] } };
  } catch (error) {
    return unreadable(`cannot be read: ${more.file}: ${reasonOf(error)}`);
  }
}

/** Removes what the version before left; where /var is read-only it stays. Never throws. */
export function removeStateBefore(directory: string): void {
  for (const name of names) discard(join(directory, name));
  removeLinksBefore(directory);
}

/** Removes the link files of form 1. Never throws. */
export function removeLinksBefore(directory: string): void {
  discardAll(directory, /^links-[0-9a-f]{32}\.json$/);
}

function keyOf({ order, lost }: Link): number {
  return order * 2 + (lost === true ? 1 : 0);
}

function nameFor(text: string): string {
  return `links-${createHash('sha256').update(text).digest('hex').slice(0, 32)}.json`;
}
