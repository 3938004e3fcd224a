import { type FSWatcher, readdirSync, watch } from 'node:fs';
import { lstat, mkdir, readdir, rename, stat, unlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { decodeEvent, type LinkEvent } from '../core/link/event.ts';
import { isMissing, isWant, reasonOf } from '../core/tell/reason.ts';
import { forEachInTurns, readSmallFile, roomIn, statusOf } from './files.ts';
import { Rejected, type Unfit } from './rejected.ts';

/** An event that a hook left because nobody answered. */
export interface SpooledEvent {
  path: string;
  event: LinkEvent;
}

export interface SpoolOptions {
  directory: string;
  onTrouble(message: string): void;
}

/** `spool/`: events by their numbers. `.taken/` has the ids of the last minute. All else is not ours to touch. */
export class Spool {
  readonly #directory: string;
  readonly #onTrouble: SpoolOptions['onTrouble'];
  readonly #rejected: Rejected;
  /** Ids of events that have been taken, and when, in milliseconds since the epoch; oldest first. */
  readonly #taken = new Map<string, number>();
  /** What has been handed on and is still there, because it cannot be put away, or not yet: path and fingerprint. */
  readonly #stuck = new Map<string, string>();
  /** Called when an event may have been added. */
  #onChange: (() => void) | undefined;
  /** Why it could not be read the last time. */
  #trouble: string | undefined;

  constructor({ directory, onTrouble }: SpoolOptions) {
    this.#directory = directory;
    this.#onTrouble = onTrouble;
    this.#rejected = new Rejected({ directory, onTrouble });
  }

  /** Makes the directory, clears what killed hooks left, recalls what was taken. Never throws: there is the socket. */
  async prepare(): Promise<void> {
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      await this.#clearAbandoned();
      await this.#recallTaken();
    } catch (error) {
      this.#onTrouble(`the spool ${this.#directory} is not as it should be: ${reasonOf(error)}`);
    }
  }

  /** The events that wait, oldest first, up to one that cannot be read now; and the files that are no events. */
  async read(): Promise<{ events: SpooledEvent[]; unfit: Unfit[] }> {
    const events: SpooledEvent[] = [];
    const unfit: Unfit[] = [];
    let trouble: string | undefined;
    try {
      await forEachInTurns(this.#numbers(), name => {
        const path = join(this.#directory, name);
        try {
          const bytes = this.#isStuck(path) ? undefined : readSmallFile(path);
          if (bytes !== undefined) events.push({ path, event: decodeEvent(bytes) });
        } catch (error) {
          if (isWant(error)) throw error;
          unfit.push({ path, why: `is no event (${reasonOf(error)})` });
        }
      });
    } catch (error) {
      trouble = `the spool cannot be read: ${reasonOf(error)}; it is tried again every ${pollInterval} ms`;
      setTimeout(() => this.#onChange?.(), pollInterval).unref();
    }
    if (trouble !== undefined && trouble !== this.#trouble) this.#onTrouble(trouble);
    this.#trouble = trouble;
    return { events, unfit };
  }

  /** Does nothing wait in it for certain? Asked before every event. */
  isEmpty(): boolean {
    try {
      return this.#numbers().length === 0;
    } catch {
      return false;
    }
  }

  /** An event stays where it is, and is not read again by this daemon. */
  leave(path: string): void {
    this.#stuck.set(path, fingerprintOf(path));
  }

  /** An event has been handled: it is not read again, and known by its id if it comes by the socket too. */
  async take({ path, event }: SpooledEvent): Promise<void> {
    try {
      if (event.id === undefined) await unlink(path);
      else {
        this.#taken.set(event.id, Date.now());
        await rename(path, join(roomIn(this.#directory, '.taken'), event.id));
      }
      this.#stuck.delete(path);
    } catch (error) {
      if (isMissing(error)) return;
      this.leave(path);
      this.#onTrouble(
        `${path} has been handled but cannot be put away: ${reasonOf(error)}; delete it before ppp-routed is started again`,
      );
    }
    await this.#forgetOld();
  }

  /** What is no event, or could not be handled and never will be, is put into `rejected/`. */
  async reject(files: readonly Unfit[]): Promise<void> {
    for (const path of await this.#rejected.add(files)) this.leave(path);
  }

  /** Has the event of this id come through the spool? */
  hasTaken(id: string): boolean {
    return this.#taken.has(id);
  }

  /** Calls back when an event may have been added, whatever becomes of the directory. Returns how to stop. */
  watch(onChange: () => void): () => void {
    this.#onChange = onChange;
    let watcher: FSWatcher | undefined;
    let timer: NodeJS.Timeout | undefined;
    const lookNowAndThen = (error: unknown) => {
      if (timer !== undefined) return;
      this.#onTrouble(
        `${this.#directory} cannot be watched: ${reasonOf(error)}; it is looked at every ${pollInterval} ms`,
      );
      timer = setInterval(watchAnew, pollInterval);
    };
    const watchAnew = () => {
      begin();
      // What was added before somebody watched.
      onChange();
    };
    const begin = () => {
      watcher?.close();
      try {
        // Not by a comparison of listings: numbers are used again, and a file of the same name may be another event.
        watcher = watch(this.#directory, (_, name) => {
          if (name === basename(this.#directory)) watchAnew();
          else if (name === null || isNumber(name)) onChange();
        });
        watcher.on('error', lookNowAndThen);
        clearInterval(timer);
        timer = undefined;
      } catch (error) {
        // There is a limit to inotify instances, see inotify(7).
        lookNowAndThen(error);
      }
    };
    begin();
    return () => {
      this.#onChange = undefined;
      watcher?.close();
      clearInterval(timer);
    };
  }

  /** Asked before every event, and nearly always empty: another thread would take longer. */
  #numbers(): string[] {
    try {
      return readdirSync(this.#directory).filter(isNumber).sort();
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  async #clearAbandoned(): Promise<void> {
    for (const name of await readdir(this.#directory)) {
      const path = join(this.#directory, name);
      const found = name.startsWith('.') ? await lstat(path).catch(() => undefined) : undefined;
      if (found?.isFile() && Date.now() - found.mtimeMs > abandonedAfter)
        await unlink(path).catch(() => undefined);
    }
  }

  async #recallTaken(): Promise<void> {
    const taken = roomIn(this.#directory, '.taken');
    const names = (await readdir(taken)).filter(name => idPattern.test(name));
    const since = await Promise.all(
      names.map(async name => {
        // Renaming changed the file's status, not its contents.
        const found = await stat(join(taken, name)).catch(() => undefined);
        return [name, found?.ctimeMs ?? 0] as const;
      }),
    );
    for (const [id, when] of since.sort((a, b) => a[1] - b[1])) this.#taken.set(id, when);
    await this.#forgetOld();
  }

  async #forgetOld(): Promise<void> {
    for (const [id, since] of this.#taken) {
      if (Math.abs(Date.now() - since) < abandonedAfter) break;
      this.#taken.delete(id);
      await unlink(join(this.#directory, '.taken', id)).catch(() => undefined);
    }
  }

  /** Another file of the same name is another event: numbers are used again. */
  #isStuck(path: string): boolean {
    const fingerprint = this.#stuck.get(path);
    return fingerprint !== undefined && fingerprint === fingerprintOf(path);
  }
}

/** Milliseconds. A hook takes three seconds at most, and what it has given up waits in the backlog no longer than a start. */
const abandonedAfter = 60_000;

function fingerprintOf(path: string): string {
  const found = statusOf(path);
  return `${found?.ino} ${found?.mtimeMs}`;
}

/** Of the ids that events have. */
const idPattern = /^[0-9a-f-]{36}$/;

/** Where the kernel cannot tell of changes; milliseconds. */
const pollInterval = 1000;

function isNumber(name: string): boolean {
  return /^\d{10}$/.test(name);
}
