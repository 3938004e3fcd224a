import { createHash } from 'node:crypto';
import { linkSync, lstatSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { readPlainFile } from '../configuration/plain-file.ts';
import { emptyState, type State, StateSchema, savedRoute, schemaNumber } from '../core/link/state.ts';
import { isMissing, reasonOf } from '../core/tell/reason.ts';
import { writeDurably } from './durable.ts';
import { LinkFile, MoreLinksSchema } from './link-file.ts';
import { clearing, discard, setAside } from './way.ts';

/** What was found on disk, and what a person should know about it. */
export interface LoadedState {
  state: State;
  /** A sentence each; `warning` where something was lost or wrong. */
  notices: { level: 'notice' | 'warning'; text: string }[];
}

/** The state cannot be written: nothing may be displaced. */
export class StateError extends Error {
  override readonly name = 'StateError';
}

/**
 * `state.json`, a copy of it and `state.json.previous` in the state directory; many links have a file of their own. The
 * generation before knows nothing of the default that was displaced just now; the copy does.
 */
export class StateFile {
  readonly #directory: string;
  readonly #path: string;
  readonly #copy: string;
  readonly #previous: string;
  readonly #linkFile: LinkFile;

  constructor(directory: string) {
    this.#directory = directory;
    this.#path = join(directory, 'state.json');
    this.#copy = join(directory, 'state.json.copy');
    this.#previous = join(directory, 'state.json.previous');
    this.#linkFile = new LinkFile(directory);
  }

  /**
   * Reads the state of this boot. What cannot be read is passed over for its copy, that for the previous generation, and
   * that for an empty state: a start from what the kernel shows. Never throws.
   */
  async load(bootId: string): Promise<LoadedState> {
    const notices: LoadedState['notices'] = [];
    await this.#clearTemporary();
    const instead = new Map([
      [this.#path, 'trying its copy'],
      [this.#copy, 'trying the generation before it'],
      [this.#previous, 'starting from what the kernel shows'],
    ]);
    for (const [path, next] of instead) {
      const read = await readState(path, { bootId, linkFile: this.#linkFile });
      if (read === 'missing') continue;
      if (typeof read === 'string') {
        notices.push({ level: 'warning', text: `${path} ${read}; ${next}` });
        // Kept for a person to look at, and out of the way of the generation that is still good.
        try {
          setAside(path);
        } catch {}
        continue;
      }
      if (read.bootId !== bootId) {
        notices.push({
          level: 'notice',
          text: `${path} is of an earlier boot and is history now: the kernel has fresh routes`,
        });
        return { state: emptyState(bootId), notices };
      }
      return { state: read, notices };
    }
    return { state: emptyState(bootId), notices };
  }

  /**
   * Writes the state so that it survives the next moment's crash, and keeps the generation before.
   * @throws StateError
   */
  async save(state: State): Promise<void> {
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      const part = await this.#linkFile.store(state.links);
      const content = { ...state, ...part };
      const text = `${JSON.stringify({ ...content, checksum: checksumOf(content) }, undefined, 2)}\n`;
      await writeDurably({
        path: this.#path,
        temporary: join(this.#directory, `${temporaryPrefix}${process.pid}`),
        text,
        beforeRename: () => {
          this.#keepPrevious();
          this.#keepCopy(text);
        },
      });
      this.#linkFile.saved(part);
    } catch (cause) {
      throw new StateError(`the state cannot be written to ${this.#path}: ${reasonOf(cause)}`, { cause });
    }
  }

  #keepPrevious(): void {
    try {
      clearing(`${this.#previous}.next`, next => linkSync(this.#path, next));
    } catch (error) {
      // A directory there is no generation either, and has no other name than its own.
      if (isMissing(error) || isDirectory(this.#path)) return;
      throw error;
    }
    clearing(this.#previous, previous => renameSync(`${previous}.next`, previous));
  }

  /** Not synced: a machine that crashed has another boot, and then the file is history. */
  #keepCopy(text: string): void {
    const temporary = join(this.#directory, `${temporaryPrefix}${process.pid}.copy`);
    try {
      clearing(temporary, path => writeFileSync(path, text, { mode: 0o600, flag: 'wx' }));
      clearing(this.#copy, copy => renameSync(temporary, copy));
    } catch {
      discard(temporary);
      // Better none than one that is older than the generation before; a directory is none.
      if (!isDirectory(this.#copy)) rmSync(this.#copy, { force: true });
    }
  }

  /** What a daemon that was killed was about to write. */
  async #clearTemporary(): Promise<void> {
    const names = await readdir(this.#directory).catch((): string[] => []);
    const left = names.filter(name => name.startsWith(temporaryPrefix));
    await Promise.all(left.map(name => unlink(join(this.#directory, name)).catch(() => undefined)));
  }
}

const temporaryPrefix = '.state.json.';

const FileSchema = v.object({ ...StateSchema.entries, more: v.optional(MoreLinksSchema) });

/** The state, or what is wrong with the file. */
async function readState(
  path: string,
  { bootId, linkFile }: { bootId: string; linkFile: LinkFile },
): Promise<State | 'missing' | `cannot be read: ${string}` | `is ${string}`> {
  let text: string;
  try {
    text = await readPlainFile(path);
  } catch (error) {
    if (isMissing(error)) return 'missing';
    return `cannot be read: ${reasonOf(error)}`;
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return 'is not JSON, or cut short';
  }
  if (typeof parsed === 'object' && parsed !== null && 'schema' in parsed && parsed.schema !== schemaNumber) {
    return `is of schema ${JSON.stringify(parsed.schema)}, and this program reads ${schemaNumber}`;
  }
  // A flipped bit can leave a route that reads well and leads astray. A file that a person wrote has no checksum.
  if (isDamaged(parsed)) {
    const theirs = bootIdIn(parsed);
    if (theirs !== undefined && isOfAnotherBoot(theirs, bootId)) return emptyState(theirs);
    return 'is damaged: its checksum does not fit';
  }
  const result = v.safeParse(FileSchema, parsed);
  if (!result.success) {
    const [issue] = result.issues;
    return `is not a state: ${v.getDotPath(issue) ?? 'the whole'}: ${issue.message}`;
  }
  const strange = result.output.savedDefaults.find(entry => savedRoute(entry)?.dst !== 'default');
  if (strange !== undefined) return `is not a state: ${JSON.stringify(strange.route)} is no default route`;
  const { more, ...state } = result.output;
  if (state.bootId !== bootId) return state;
  try {
    const links = await linkFile.load(more === undefined ? state : { links: state.links, more });
    return { ...state, links: [...links] };
  } catch (error) {
    return `cannot be read: ${reasonOf(error)}`;
  }
}

/** Also where it seems to be of another boot: the flipped bit may be in the boot id. */
function isDamaged(parsed: unknown): boolean {
  if (typeof parsed !== 'object' || parsed === null || !('checksum' in parsed)) return false;
  const { checksum, ...state } = parsed;
  return checksum !== checksumOf(state);
}

function bootIdIn(parsed: unknown): string | undefined {
  if (typeof parsed !== 'object' || parsed === null || !('bootId' in parsed)) return undefined;
  return typeof parsed.bootId === 'string' ? parsed.bootId : undefined;
}

/**
 * Of a file that is not as it was written: somebody has put another boot's id in. A flipped bit changes one character of it;
 * two of them make other characters than those of an id.
 */
function isOfAnotherBoot(theirs: string, ours: string): boolean {
  if (Math.abs(theirs.length - ours.length) > 1) return true;
  const differing = [...theirs].filter((character, at) => character !== ours[at]);
  return differing.length > 1 && /^[\da-f-]+$/.test(theirs);
}

function checksumOf(state: object): string {
  return createHash('sha256').update(JSON.stringify(state)).digest('hex');
}

function isDirectory(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
