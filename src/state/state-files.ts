import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Link } from '../core/link/link.ts';
import { type Reading, readDocument, unreadable } from './document.ts';
import { LinkForm, mostBytes, mostLinkBytes, StateForm } from './form.ts';
import { type Content, contentOf } from './upgrade.ts';

/** The saved defaults. */
export function stateFileIn(directory: string): string {
  return join(directory, 'state.json');
}

/** The directory of the links. */
export function linksIn(directory: string): string {
  return join(directory, 'links');
}

/** The file of a link. Of one interface several may be lost, each for a family or a redial of its own. */
export function linkFileIn(directory: string, { ifindex, order, lost }: Link): string {
  return join(linksIn(directory), lost === true ? `${ifindex}.lost.${order}.json` : `${ifindex}.json`);
}

/**
 * The files of all links.
 * @throws Error of node:fs
 */
export function linkFilesIn(directory: string): string[] {
  const names = readdirSync(linksIn(directory)).filter(name => /^\d+(\.lost\.\d+)?\.json$/.test(name));
  return names.sort().map(name => join(linksIn(directory), name));
}

/** Never throws. `schema` is the number of the form it has. */
export function readState(directory: string, bootId: string): Reading<Content & { schema: number }> {
  const reading = readDocument(stateFileIn(directory), { bootId, form: StateForm, mostBytes });
  if (reading.is !== 'read') return reading;
  const { schema, savedDefaults } = reading.content;
  if (!('links' in reading.content)) return { is: 'read', content: { schema, savedDefaults, links: [] } };
  const whole = contentOf(reading.content, directory);
  return whole.is === 'read' ? { is: 'read', content: { schema, ...whole.content } } : whole;
}

/** Never throws. */
export function readLink(
  path: string,
  { directory, bootId }: { directory: string; bootId: string },
): Reading<Link> {
  const reading = readDocument(path, { bootId, form: LinkForm, mostBytes: mostLinkBytes });
  if (reading.is !== 'read') return reading;
  const { link } = reading.content;
  if (linkFileIn(directory, link) !== path) return unreadable('is not a state: its name is another link’s');
  return { is: 'read', content: link };
}
