import { readdirSync, renameSync, unlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isMissing, reasonOf } from '../core/tell/reason.ts';
import { forEachInTurns, roomIn } from './files.ts';

/** A file that is to be put aside, and why: what follows its path in a sentence. */
export interface Unfit {
  path: string;
  why: string;
}

interface RejectedOptions {
  /** The spool. */
  directory: string;
  onTrouble(message: string): void;
}

/** `rejected/` in the spool, for a person to look at. The first `limit` files stay: they tell how it began. */
export class Rejected {
  readonly #options: RejectedOptions;

  constructor(options: RejectedOptions) {
    this.#options = options;
  }

  /** Puts files aside. Returns those that are still where they were. Never throws. */
  async add(files: readonly Unfit[]): Promise<string[]> {
    const { directory, onTrouble } = this.#options;
    const left: string[] = [];
    let told = 0;
    let kept: Set<string> | undefined;
    await forEachInTurns(files, ({ path, why }) => {
      let outcome: string;
      try {
        const rejected = roomIn(directory, 'rejected');
        kept ??= new Set(readdirSync(rejected));
        moveTo(rejected, path, kept);
        outcome = `; it was moved to ${rejected}`;
      } catch (error) {
        if (!isRemoved(path)) left.push(path);
        outcome = ` and could not be kept: ${reasonOf(error)}`;
      }
      if (told++ < toldLimit) onTrouble(`${path} ${why}${outcome}`);
    });
    if (told > toldLimit)
      onTrouble(`${told - toldLimit} more files in ${directory} were put aside or deleted`);
    return left;
  }
}

/** How many files are kept. */
const limit = 1000;

/** How many of those that come together are told one by one. */
const toldLimit = 10;

/** Gives the file a name that is free: numbers are used again, and what was kept stays. */
function moveTo(rejected: string, path: string, kept: Set<string>): void {
  if (kept.size >= limit)
    throw new Error(`${rejected} is full; look at its ${kept.size} files and delete them`);
  const name = basename(path);
  let free = name;
  for (let n = 1; kept.has(free); n++) free = `${name}.${n}`;
  renameSync(path, join(rejected, free));
  kept.add(free);
}

function isRemoved(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch (error) {
    return isMissing(error);
  }
}
