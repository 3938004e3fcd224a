import { EventEmitter, once } from 'node:events';
import { type FSWatcher, watch } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode, isWant } from '../core/tell/reason.ts';
import { isWatched, type Watched, whatToWatch } from './watched.ts';

/*
 * INVARIANTS
 * 1. What is changed after onWatching or onChange was called is told by another call of one of them.
 * 2. That holds whatever becomes of the directory and what is in it: it may be moved away and back, replaced, or made anew, and
 *    as something else than it was. Each directory that its path goes through is watched for the next name; a mount is not seen.
 * 3. At rest there is no timer.
 */

/**
 * Calls back, once things have settled, after any of the files or the directory itself has changed; and when it has begun to
 * watch, which it does anew where it may have missed something: what was changed before is not told. Never ends.
 */
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
    const watching = watchAll(watched);
    if (watching === undefined) return undefined;
    // What was put somewhere else before its directory was watched was not heard.
    const now = await whatToWatch(directory);
    if (textOf(now) === textOf(watched)) return watching;
    watching.close();
    watched = now;
  }
}

function watchAll({ directories, files }: Watched): Watching | undefined {
  const watchers: FSWatcher[] = [];
  let settling: NodeJS.Timeout | undefined;
  const close = () => {
    clearTimeout(settling);
    for (const watcher of watchers) watcher.close();
  };
  const news = new EventEmitter();
  const settle = () => {
    clearTimeout(settling);
    settling = setTimeout(() => news.emit('settled'), settleTime);
  };
  const add = (path: string, isOurs: (name: string) => boolean) => {
    const watcher = watch(path, (_event, name) => {
      if (name === null || isOurs(name)) settle();
    });
    watchers.push(watcher.on('error', settle));
  };
  try {
    for (const [path, names] of directories) attempt(() => add(path, name => isWatched(names, name)));
    for (const path of files) attempt(() => add(path, () => true));
  } catch {
    close();
    return undefined;
  }
  return { changed: once(news, 'settled'), close };
}

/**
 * What is gone by now, or may not be read, is noticed in the directory that holds it.
 * @throws Error where there are no watches, descriptors or memory left.
 */
function attempt(add: () => void): void {
  try {
    add();
  } catch (error) {
    if (hasCode(error, 'ENOSPC') || isWant(error)) throw error;
  }
}

function textOf({ directories, files }: Watched): string {
  const names = Array.from(directories, ([path, set]) => [path, [...set].sort()]);
  return JSON.stringify([names, files]);
}
