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

/** The files of all links. @throws Error of node:fs */
export function linkFilesIn(directory: string): string[] {
  const names = readdirSync(linksIn(directory)).filter(name => /^\d+(\.lost\.\d+)?\.json$/.test(name));
  return names.sort().map(name => join(linksIn(directory), name));
}

/** What `state.json` or the file of a link holds. Never throws. */
export function readFileOf(
  directory: string,
  { path, bootId }: { path: string; bootId: string },
): Reading<Content> {
  if (path === stateFileIn(directory)) {
    const reading = readDocument(path, { bootId, form: StateForm, mostBytes });
    return reading.is === 'read' ? contentOf(reading.content, directory) : reading;
  }
  const reading = readDocument(path, { bootId, form: LinkForm, mostBytes: mostLinkBytes });
  if (reading.is !== 'read') return reading;
  const { schema, link } = reading.content;
  if (linkFileIn(directory, link) !== path) return unreadable('is not a state: its name is another link’s');
  return { is: 'read', content: { schema, savedDefaults: [], links: [link] } };
}
