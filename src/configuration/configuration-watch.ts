import { EventEmitter, once } from 'node:events';
import { watch as watchNames } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { watch } from 'chokidar';
import { hasCode, isWant } from '../core/tell/reason.ts';
import { isWatched, type Watched, whatToWatch } from './watched.ts';

/*
 * INVARIANTS
 * 1. What is changed after onWatching or onChange was called is told by another call of one of them.
 * 2. That holds whatever becomes of the directory and what is in it: it may be moved away and back, replaced, or made anew, and
 *    as something else than it was. Each directory that its path goes through is watched for the next name; a mount is not seen.
 * 3. At rest there is no timer.
 */

/** Calls back after changes have settled, and when it begins to watch (anew): earlier changes are not told. Never ends. */
export async function watchConfiguration(
  directory: string,
  { onChange, onWatching }: { onChange(): void; onWatching(): void },
): Promise<never> {
  let tell = onWatching;
  let backoff = shortestBackoff;
  // An inotify watch is of an inode, not of a path: after a change all is watched anew.
  for (;;) {
    const watching = await beginToWatch(directory);
    if (watching === undefined) {
      if (tell === onChange) tell();
      tell = onWatching;
      await sleep(backoff);
      backoff = Math.min(2 * backoff, longestBackoff);
      continue;
    }
    backoff = shortestBackoff;
    tell();
    await watching.changed;
    tell = onChange;
    watching.close();
  }
}

/** An editor writes a file in several steps, a package its directory; milliseconds. */
const settleTime = 100;
/** Where the kernel has no inotify(7) watches left it is tried again after so many milliseconds. */
const shortestBackoff = 1000;
const longestBackoff = 60_000;

interface Watching {
  /** Resolves when something has changed and has settled. */
  changed: Promise<unknown>;
  close(): void;
}

/** undefined: the kernel has no watches left. */
async function beginToWatch(directory: string): Promise<Watching | undefined> {
  for (let watched = await whatToWatch(directory); ; ) {
    const watching = await watchAll(watched);
    if (watching === undefined) return undefined;
    // What was put somewhere else before its directory was watched was not heard.
    const now = await whatToWatch(directory);
    if (textOf(now) === textOf(watched)) return watching;
    watching.close();
    watched = now;
  }
}

/**
 * The names on the way to the files, by `fs.watch`: chokidar would read the whole of a directory, `/etc` among them, with every
 * event in it, and says nothing of one that is moved away and back at once. The files themselves, by chokidar.
 */
async function watchAll({ directories, files }: Watched): Promise<Watching | undefined> {
  const news = new EventEmitter();
  let settling: NodeJS.Timeout | undefined;
  const settle = () => {
    clearTimeout(settling);
    settling = setTimeout(() => news.emit('settled'), settleTime);
  };
  const watchers: { close(): unknown }[] = [];
  const close = () => {
    clearTimeout(settling);
    for (const watcher of watchers) watcher.close();
  };
  const isBegun = new Promise<boolean>(resolve => {
    const fail = (error: unknown) => (isForWantOfWatches(error) ? resolve(false) : settle());
    for (const [path, names] of directories)
      try {
        const hear = (_event: string, name: string | null) => {
          if (name === null || isWatched(names, name)) settle();
        };
        watchers.push(watchNames(path, hear).on('error', settle));
      } catch (error) {
        // One that is gone by now, or may not be read, is noticed in the directory that holds it.
        if (isForWantOfWatches(error)) return resolve(false);
      }
    const watcher = watch([...files], { ignoreInitial: true });
    watchers.push(watcher.on('all', settle).on('error', fail));
    if (files.length === 0) resolve(true);
    else watcher.on('ready', () => resolve(true));
  });
  if (await isBegun) return { changed: once(news, 'settled'), close };
  close();
  return undefined;
}

function isForWantOfWatches(error: unknown): boolean {
  return hasCode(error, 'ENOSPC') || isWant(error);
}

function textOf({ directories, files }: Watched): string {
  const names = Array.from(directories, ([path, set]) => [path, [...set].sort()]);
  return JSON.stringify([names, files]);
}
