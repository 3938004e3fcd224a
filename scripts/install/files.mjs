import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { scriptsWithLines } from './dispatcher.mjs';
import { library } from './layout.mjs';
import { Trouble, withTrouble } from './trouble.mjs';

const recordPath = `${library}/installed.json`;
const skeleton = '#!/bin/sh\n';

/**
 * The files below `root`, as wanted: each call changes only what differs and says so. What was made is recorded, so
 * that unsetup takes away no directory that was there before us.
 */
export class Files {
  /** Paths that were written in this run. */
  changed = new Set();
  #root;
  #made;

  constructor(root) {
    this.#root = root;
    this.#made = new Set(readRecord(root));
  }

  place(entry) {
    withTrouble(`cannot write ${entry.path}`, () => this.#place(entry));
  }

  /** Deletes what an earlier version left under names that are not used any more. */
  deleteAllBut(entries) {
    const wanted = new Set([...entries.map(entry => entry.path), recordPath]);
    for (const path of [...this.#made].reverse()) {
      if (wanted.has(path) || [...wanted].some(kept => kept.startsWith(`${path}/`))) continue;
      this.#delete(path);
      this.#made.delete(path);
    }
    this.#writeRecord();
    const lines = new Set(entries.filter(entry => entry.line).map(entry => entry.path));
    this.#deleteLines(path => !lines.has(path));
  }

  deleteAll() {
    this.#deleteLines(() => true);
    // Last made, first deleted: a directory after what is in it. The record goes last, with the directory it is in.
    const made = [...this.#made].reverse();
    const isAbove = path => `${library}/`.startsWith(`${path}/`);
    for (const path of made) if (!isAbove(path)) this.#delete(path);
    this.deleteTree(library);
    for (const path of made) if (isAbove(path)) this.#delete(path);
  }

  deleteTree(path) {
    if (!isThere(this.#root + path)) return;
    console.log(`deleting ${path}`);
    withTrouble(`cannot delete ${path}`, () => rmSync(this.#root + path, { recursive: true, force: true }));
  }

  #place(entry) {
    if (entry.directory) return this.#makeDirectory(entry.path);
    this.#makeDirectory(dirname(entry.path));
    if (entry.line) return this.#placeLine(entry);
    if (entry.once && existsSync(this.#root + entry.path)) return;
    if (entry.link ? this.#isLink(entry) : this.#isFile(entry)) return this.#record(entry.path);
    this.#write(entry);
    this.#record(entry.path);
  }

  #makeDirectory(path) {
    if (path === '/' || existsSync(this.#root + path)) return;
    this.#makeDirectory(dirname(path));
    withTrouble(`cannot make directory ${path}`, () => {
      mkdirSync(this.#root + path);
      chmodSync(this.#root + path, 0o755); // whatever the umask
    });
    this.#record(path);
  }

  #isFile({ path, content, mode }) {
    const full = this.#root + path;
    if (!isThere(full)) return false;
    const found = lstatSync(full);
    return found.isFile() && (found.mode & 0o7777) === mode && readFileSync(full, 'utf8') === content;
  }

  #isLink({ path, link }) {
    const full = this.#root + path;
    return isThere(full) && lstatSync(full).isSymbolicLink() && readlinkSync(full) === link;
  }

  // Renamed into place: a hook that runs at this moment sees the old file or the new one, never half of one.
  #write({ path, content, link, mode }) {
    const full = this.#root + path;
    const making = `${full}.making`;
    console.log(`${isThere(full) ? 'changing' : 'adding'} ${path}`);
    rmSync(making, { force: true });
    if (link) symlinkSync(link, making);
    else {
      writeFileSync(making, content);
      chmodSync(making, mode);
    }
    renameSync(making, full);
    this.changed.add(path);
  }

  // At the top: a script may well end in `exit`.
  #placeLine({ path, line }) {
    const full = this.#root + path;
    const script = existsSync(full) ? readFileSync(full, 'utf8') : skeleton;
    if (script.split('\n').includes(line)) return;
    const [, shebang = '', rest] = /^(#!.*\n)?([\s\S]*)$/.exec(script);
    if (shebang && !/\b(?:sh|bash|dash|ksh|zsh)\b/.test(shebang))
      throw new Trouble({
        what: `cannot add a line to ${path}`,
        why: `it is no shell script (${shebang.trim()})`,
        todo: `Make it run this command with its own arguments, then run setup again: ${line}`,
      });
    const mode = existsSync(full) ? statSync(full).mode & 0o7777 : 0o755;
    this.#write({ path, content: `${shebang}${withoutOurLines(`${line}\n`, rest)}`, mode });
  }

  #deleteLines(isUnwanted) {
    for (const path of scriptsWithLines)
      if (isUnwanted(path)) withTrouble(`cannot change ${path}`, () => this.#deleteLine(path));
  }

  #deleteLine(path) {
    const full = this.#root + path;
    if (!existsSync(full)) return;
    const script = readFileSync(full, 'utf8');
    const rest = withoutOurLines('', script);
    if (rest === script) return;
    if (rest !== skeleton) return this.#write({ path, content: rest, mode: statSync(full).mode & 0o7777 });
    this.#delete(path);
  }

  #delete(path) {
    const full = this.#root + path;
    if (!isThere(full)) return;
    const isDirectory = lstatSync(full).isDirectory();
    withTrouble(`cannot delete ${path}`, () => {
      try {
        if (isDirectory) rmdirSync(full);
        else rmSync(full);
        console.log(`deleting ${path}`);
      } catch (error) {
        // Somebody else's files are in a directory that we made: it is theirs now.
        if (error.code !== 'ENOTEMPTY') throw error;
      }
    });
  }

  #record(path) {
    if (this.#made.has(path)) return;
    this.#made.add(path);
    this.#writeRecord();
  }

  // After every step, so that an interrupted setup can be taken away too.
  #writeRecord() {
    if (!existsSync(this.#root + library)) return;
    const content = `${JSON.stringify([...this.#made], null, 2)}\n`;
    withTrouble(`cannot write ${recordPath}`, () => {
      writeFileSync(`${this.#root}${recordPath}.making`, content);
      renameSync(`${this.#root}${recordPath}.making`, this.#root + recordPath);
    });
  }
}

function readRecord(root) {
  if (!existsSync(root + recordPath)) return [];
  return JSON.parse(readFileSync(root + recordPath, 'utf8'));
}

function withoutOurLines(first, script) {
  return first + script.replace(/^.*# ppp-routed put this line here.*\n?/gm, '');
}

function isThere(path) {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
