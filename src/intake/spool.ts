import { constants, type FSWatcher, readdirSync, watch } from 'node:fs';
import { lstat, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { decodeEvent, EventError, eventLimit, type LinkEvent } from '../core/event.ts';
import { isMissing, reasonOf } from '../core/reason.ts';

/** An event that a hook left because nobody answered. */
export interface SpooledEvent {
  path: string;
  event: LinkEvent;
}

export interface SpoolOptions {
  directory: string;
  onTrouble(message: string): void;
}

/**
 * `spool/` in the runtime directory: events in the order of their numbers. Those that have been taken stay in `.taken/` for
 * a minute, under their ids. Everything else there is not ours to touch.
 */
export class Spool {
  readonly #directory: string;
  readonly #onTrouble: SpoolOptions['onTrouble'];
  /** Ids of events that have been taken, and when, in milliseconds since the epoch; oldest first. */
  readonly #taken = new Map<string, number>();
  /** What has been handed on and is still there, because it cannot be put away, or not yet: path and fingerprint. */
  readonly #stuck = new Map<string, string>();

  constructor({ directory, onTrouble }: SpoolOptions) {
    this.#directory = directory;
    this.#onTrouble = onTrouble;
  }

  /**
   * Makes the directory if the package's tmpfiles.d has not, clears what hooks that were killed left half written, and
   * recalls what the last daemon has taken. Never throws: without a spool there is still the socket.
   */
  async prepare(): Promise<void> {
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      await this.#clearAbandoned();
      await this.#recallTaken();
    } catch (error) {
      this.#onTrouble(`the spool ${this.#directory} is not as it should be: ${reasonOf(error)}`);
    }
  }

  /** The events that wait, oldest first. A file that is no event is put into `rejected/`. */
  async read(): Promise<SpooledEvent[]> {
    const events: SpooledEvent[] = [];
    for (const name of this.#numbers()) {
      const path = join(this.#directory, name);
      try {
        const bytes = (await this.#isStuck(path)) ? undefined : await readSmallFile(path);
        if (bytes !== undefined) events.push({ path, event: decodeEvent(bytes) });
      } catch (error) {
        await this.#reject(name, `is no event (${reasonOf(error)})`);
      }
    }
    return events;
  }

  /** An event stays where it is, and is not read again by this daemon. */
  async leave(path: string): Promise<void> {
    this.#stuck.set(path, await fingerprintOf(path));
  }

  /** An event has been handled: it is not read again, and known by its id if it comes by the socket too. */
  async take({ path, event }: SpooledEvent): Promise<void> {
    try {
      if (event.id === undefined) await unlink(path);
      else {
        this.#taken.set(event.id, Date.now());
        await this.#keepId(path, event.id);
      }
      this.#stuck.delete(path);
    } catch (error) {
      if (isMissing(error)) return;
      await this.leave(path);
      this.#onTrouble(
        `${path} has been handled but cannot be put away: ${reasonOf(error)}; delete it before ppp-routed is started again`,
      );
    }
    await this.#forgetOld();
  }

  /** An event could not be handled and never will be: it is put into `rejected/`. */
  async refuse({ path }: SpooledEvent, reason: string): Promise<void> {
    await this.#reject(basename(path), `was not handled (${reason})`);
  }

  /** Has the event of this id come through the spool? */
  hasTaken(id: string): boolean {
    return this.#taken.has(id);
  }

  /**
   * Calls back when an event may have been added. Returns how to stop. The directory may be removed and made anew: then
   * another is to be watched.
   */
  watch(onChange: () => void): () => void {
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
      this.#onTrouble(`the spool cannot be read: ${reasonOf(error)}`);
      return [];
    }
  }

  async #keepId(path: string, id: string): Promise<void> {
    await rename(path, join(await this.#room('.taken'), id));
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
    const taken = await this.#room('.taken');
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
  async #isStuck(path: string): Promise<boolean> {
    const fingerprint = this.#stuck.get(path);
    return fingerprint !== undefined && fingerprint === (await fingerprintOf(path));
  }

  /**
   * A directory in the spool that is the daemon's own.
   * @throws Error where something else has the name: a link would lead out of the spool.
   */
  async #room(name: '.taken' | 'rejected'): Promise<string> {
    const path = join(this.#directory, name);
    const found = await lstat(path).catch(() => undefined);
    if (found === undefined) await mkdir(path, { mode: 0o700 });
    else if (!found.isDirectory()) throw new Error(`${path} is no directory`);
    return path;
  }

  async #reject(name: string, what: string): Promise<void> {
    const path = join(this.#directory, name);
    try {
      const rejected = await this.#room('rejected');
      // Numbers are used again, and what was kept stays.
      const kept = new Set(await readdir(rejected));
      let free = name;
      for (let n = 1; kept.has(free); n++) free = `${name}.${n}`;
      await rename(path, join(rejected, free));
      this.#onTrouble(`${path} ${what}; it was moved to ${rejected}`);
    } catch (error) {
      await unlink(path).catch(() => this.leave(path));
      this.#onTrouble(`${path} ${what} and could not be kept: ${reasonOf(error)}`);
    }
  }
}

/** Milliseconds. A hook takes three seconds at most, and what it has given up waits in the backlog no longer than a start. */
const abandonedAfter = 60_000;

async function fingerprintOf(path: string): Promise<string> {
  const found = await lstat(path).catch(() => undefined);
  return `${found?.ino} ${found?.mtimeMs}`;
}

/** Of the ids that events have. */
const idPattern = /^[0-9a-f-]{36}$/;

/** Where the kernel cannot tell of changes; milliseconds. */
const pollInterval = 1000;

function isNumber(name: string): boolean {
  return /^\d{10}$/.test(name);
}

/** A plain file's bytes; never follows a link, never waits on a fifo. undefined if it is gone. */
async function readSmallFile(path: string): Promise<Buffer | undefined> {
  try {
    const found = await lstat(path);
    if (!found.isFile()) throw new EventError('FIELD', 'not a plain file');
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(eventLimit + 1), 0, eventLimit + 1, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
