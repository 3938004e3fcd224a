import { existsSync } from 'node:fs';
import type { Link } from '../core/link/link.ts';
import type { SavedDefault } from '../core/link/state.ts';
import { hasCode, isMissing, reasonOf } from '../core/tell/reason.ts';
import { documentOf } from './document.ts';
import { formNumber, mostBytes, mostLinkBytes } from './form.ts';
import { historyNotice, type Notice, type Unreadable, warningsOf } from './notice.ts';
import { linkFileIn, linkFilesIn, linksIn, readFileOf, stateFileIn } from './state-files.ts';
import { type Content, readStateBefore, removeLinksBefore, removeStateBefore } from './upgrade.ts';
import { clear, discard, removeTemporaries, setAside, writeWhole } from './whole-file.ts';

/*
 * INVARIANTS
 * 1. A file is whole or not there, whenever the process is killed.
 * 2. A file that cannot be read stays where it is, and in `unreadable`, until it can be read, is gone, is written anew, or is
 *    set aside.
 * 3. What was read from a file of form 1 is written in form 2 before anything else is written.
 */

/** What was found, and what a person should know about it. */
export interface Loaded extends Omit<Content, 'schema'> {
  notices: Notice[];
  unreadable: Unreadable[];
}

/** The state cannot be written: nothing may be displaced. */
export class StateError extends Error {
  override readonly name = 'StateError';
}

/** What must outlive the daemon: `state.json` has the saved defaults, `links/` a file a link. Nothing is synced. */
export class StateDirectory {
  readonly #directory: string;
  readonly #stateFile: string;
  readonly #before: string | undefined;
  #bootId: string | undefined;
  #unreadable = new Map<string, string>();
  /** What is to be written in this form, and what follows when it is. */
  #unwritten: (Content & { done(): void }) | undefined;

  /** `before`: the directory of the version before, whose state of this boot is taken over once. */
  constructor(directory: string, { before }: { before?: string | undefined } = {}) {
    this.#directory = directory;
    this.#stateFile = stateFileIn(directory);
    this.#before = before;
  }

  get unreadable(): Unreadable[] {
    return Array.from(this.#unreadable, ([path, why]) => ({ path, why }));
  }

  /** Reads the state of this boot; what is of another is removed. Never throws. */
  load(bootId: string): Loaded {
    this.#bootId = bootId;
    this.#unreadable.clear();
    this.#unwritten = undefined;
    removeTemporaries(this.#directory);
    removeTemporaries(linksIn(this.#directory));
    const loaded = this.#read([this.#stateFile, ...this.#linkFiles()]);
    loaded.notices.push(...warningsOf(this.unreadable, this.#directory));
    this.#readBefore(loaded);
    return this.#writeInNewForm(loaded);
  }

  /** Reads again what could not be read: returns what can be read now. Never throws. */
  reread(): Loaded {
    const paths = [...this.#unreadable.keys()];
    this.#unreadable.clear();
    const again = paths.flatMap(path => (path === linksIn(this.#directory) ? this.#linkFiles() : [path]));
    return this.#writeInNewForm(this.#read(again));
  }

  /** @throws StateError */
  saveLink(link: Link): void {
    this.#finishNewForm();
    this.#writeLink(link);
  }

  /** Fine where there is no such file. @throws StateError */
  removeLink(link: Link): void {
    this.#finishNewForm();
    const path = linkFileIn(this.#directory, link);
    this.#change(path, () => {
      try {
        if (this.#unreadable.has(path)) setAside(path);
        else clear(path);
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    });
  }

  /** @throws StateError */
  saveDefaults(savedDefaults: readonly SavedDefault[]): void {
    this.#finishNewForm();
    this.#writeDefaults(savedDefaults);
  }

  /** Renames every file that cannot be read to `….rejected`: the administrator does without it. Returns what could not be. */
  setAside(): Unreadable[] {
    const failed: Unreadable[] = [];
    for (const path of [...this.#unreadable.keys()]) {
      try {
        setAside(path);
        this.#unreadable.delete(path);
      } catch (error) {
        if (hasCode(error, 'ENOENT')) this.#unreadable.delete(path);
        else failed.push({ path, why: reasonOf(error) });
      }
    }
    return failed;
  }

  #read(paths: readonly string[]): Loaded {
    const loaded: Loaded = { savedDefaults: [], links: [], notices: [], unreadable: [] };
    const links = new Map<string, Link>();
    let isAnotherBoot = false;
    for (const path of paths) {
      const reading = readFileOf(this.#directory, { path, bootId: this.#boot() });
      if (reading.is === 'unreadable') this.#unreadable.set(path, reading.why);
      if (reading.is === 'of another boot') {
        isAnotherBoot = true;
        discard(path);
      }
      if (reading.is !== 'read') continue;
      if (reading.content.schema !== formNumber)
        this.#unwritten = { ...reading.content, done: () => removeLinksBefore(this.#directory) };
      loaded.savedDefaults.push(...reading.content.savedDefaults);
      // state.json is read first: links in it are a person's, or of the version before.
      for (const link of reading.content.links) {
        const file = linkFileIn(this.#directory, link);
        if (!links.has(file)) links.set(file, link);
      }
    }
    loaded.links = [...links.values()].sort(byOrder);
    if (isAnotherBoot) loaded.notices.push(historyNotice(this.#directory));
    return loaded;
  }

  /** Where `links/` cannot be listed, it is unreadable itself. */
  #linkFiles(): string[] {
    try {
      return linkFilesIn(this.#directory);
    } catch (error) {
      if (!hasCode(error, 'ENOENT'))
        this.#unreadable.set(linksIn(this.#directory), `cannot be read: ${reasonOf(error)}`);
      return [];
    }
  }

  /** Once: from then on there is a `state.json`, also where /var is read-only and the old one stays. */
  #readBefore(loaded: Loaded): void {
    const before = this.#before;
    const taken = [this.#stateFile, `${this.#stateFile}.rejected`];
    if (before === undefined || this.#unreadable.has(this.#stateFile) || taken.some(path => existsSync(path)))
      return;
    const reading = readStateBefore(before, this.#boot());
    if (reading.is === 'unreadable')
      loaded.notices.push({ level: 'warning', text: `${reading.why}; what it held is not known` });
    if (reading.is !== 'read') return;
    loaded.notices.push({ level: 'notice', text: `taking over the state in ${before}` });
    // A link that has a file here already was saved later.
    const here = new Set(loaded.links.map(link => linkFileIn(this.#directory, link)));
    const links = reading.content.links.filter(link => !here.has(linkFileIn(this.#directory, link)));
    loaded.savedDefaults = reading.content.savedDefaults;
    loaded.links = [...loaded.links, ...links].sort(byOrder);
    this.#unwritten = { ...reading.content, links, done: () => removeStateBefore(before) };
  }

  #writeInNewForm(loaded: Loaded): Loaded {
    try {
      this.#finishNewForm();
    } catch (error) {
      loaded.notices.push({ level: 'warning', text: reasonOf(error) });
    }
    return { ...loaded, unreadable: this.unreadable };
  }

  #finishNewForm(): void {
    if (this.#unwritten === undefined) return;
    const { savedDefaults, links, done } = this.#unwritten;
    for (const link of links) this.#writeLink(link);
    this.#writeDefaults(savedDefaults);
    this.#unwritten = undefined;
    done();
  }

  #writeLink(link: Link): void {
    this.#write(linkFileIn(this.#directory, link), { link }, mostLinkBytes);
  }

  #writeDefaults(savedDefaults: readonly SavedDefault[]): void {
    this.#write(this.#stateFile, { savedDefaults }, mostBytes);
  }

  #write(path: string, content: object, most: number): void {
    this.#change(path, () => {
      const text = documentOf({ schema: formNumber, bootId: this.#boot(), ...content });
      writeWhole(path, { text, mostBytes: most, keepsOld: this.#unreadable.has(path) });
    });
  }

  #change(path: string, change: () => void): void {
    try {
      change();
    } catch (cause) {
      throw new StateError(`the state cannot be written to ${path}: ${reasonOf(cause)}`, { cause });
    }
    this.#unreadable.delete(path);
  }

  #boot(): string {
    if (this.#bootId === undefined) throw new Error('it has not been loaded yet');
    return this.#bootId;
  }
}

function byOrder(a: Link, b: Link): number {
  return a.order - b.order;
}
