import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { readPlainFile } from '../configuration/plain-file.ts';
import { linksNotIn } from '../core/link/bucket.ts';
import type { Link } from '../core/link/link.ts';
import { StateSchema } from '../core/link/state.ts';
import { writeDurably } from './durable.ts';
import { discard } from './way.ts';

/*
 * INVARIANTS
 * 1. A link file is never changed: its name is made of its contents, and state.json names the one that it stands on.
 * 2. One that state.json or the generation before it names is not deleted.
 */

/** How links beyond those in state.json are to be found: in a file, but for those that have gone or changed since. */
export const MoreLinksSchema = v.object({
  file: v.pipe(v.string(), v.regex(/^links-[0-9a-f]{32}\.json$/)),
  gone: v.array(v.number()),
});
export type MoreLinks = v.InferOutput<typeof MoreLinksSchema>;

/** What state.json holds of the links. */
export interface Part {
  links: readonly Link[];
  more?: MoreLinks;
}

/** So many links, or so many that differ from the file's, are written with every change. */
const mostInState = 64;

/**
 * Where a machine has thousands of links: an event changes one, and only what differs from a file that is written now and
 * then goes into state.json.
 */
export class LinkFile {
  readonly #directory: string;
  #base: { file: string; links: readonly Link[] } | undefined;
  /** The files that the last two generations of state.json stand on. */
  #named: [string | undefined, string | undefined] = [undefined, undefined];

  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * What state.json has to hold of these links; the rest is safe on disk when this resolves.
   * @throws Error where the file cannot be written.
   */
  async store(links: readonly Link[]): Promise<Part> {
    if (links.length <= mostInState) {
      this.#base = undefined;
      return { links };
    }
    return this.#difference(links) ?? (await this.#write(links));
  }

  /**
   * The links that a part stands for.
   * @throws Error where the file cannot be read or is not what it was.
   */
  async load({ links, more }: Part): Promise<readonly Link[]> {
    this.#base = undefined;
    if (more === undefined) return links;
    const text = await readPlainFile(join(this.#directory, more.file));
    if (nameFor(text) !== more.file)
      throw new Error(`${more.file} is damaged: its contents do not fit its name`);
    const read = v.parse(StateSchema.entries.links, JSON.parse(text));
    this.#base = { file: more.file, links: read };
    this.#named = [more.file, more.file];
    const superseded = new Set([...more.gone, ...links.map(keyOf)]);
    return [...read.filter(link => !superseded.has(keyOf(link))), ...links];
  }

  /** state.json has been written with this part: files that no generation stands on any more are deleted. Never throws. */
  saved({ more }: Part): void {
    const before = this.#named;
    this.#named = [more?.file, before[0]];
    if (before[0] === more?.file && before[1] === more?.file) return;
    for (const name of namesIn(this.#directory))
      if (/^links-.*\.json$/.test(name) && !this.#named.includes(name)) discard(join(this.#directory, name));
  }

  /** undefined where it is so much that the file should be written anew. */
  #difference(links: readonly Link[]): Part | undefined {
    if (this.#base === undefined) return undefined;
    const { file, links: base } = this.#base;
    const changed = linksNotIn(links, base);
    const here = new Set(changed.map(keyOf));
    const gone = linksNotIn(base, links)
      .map(keyOf)
      .filter(key => !here.has(key));
    if (changed.length + gone.length > mostInState) return undefined;
    return { links: changed, more: { file, gone } };
  }

  async #write(links: readonly Link[]): Promise<Part> {
    const text = `[\n${links.map(link => JSON.stringify(link)).join(',\n')}\n]\n`;
    const file = nameFor(text);
    this.#base = undefined;
    await writeDurably({
      path: join(this.#directory, file),
      temporary: join(this.#directory, `.state.json.${process.pid}.links`),
      text,
    });
    this.#base = { file, links };
    return { links: [], more: { file, gone: [] } };
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** A link that is lost for one family and up for the other is there twice. */
function keyOf({ order, lost }: Link): number {
  return order * 2 + (lost === true ? 1 : 0);
}

function nameFor(text: string): string {
  return `links-${createHash('sha256').update(text).digest('hex').slice(0, 32)}.json`;
}
