import { EventEmitter, once } from 'node:events';
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
 * A watcher for each path: one of chokidar's that watches a directory and what is in it takes the two for one. What it hears of
 * the kernel counts (`raw`), and not what it makes of it: a directory that is moved away and back at once is no event of its own.
 * What is gone by now, or may not be read, is noticed in the directory that holds it.
 */
async function watchAll({ directories, files }: Watched): Promise<Watching | undefined> {
  const paths = [...directories.keys(), ...files];
  const watchers = paths.map(path =>
    watch(path, { ignoreInitial: true, depth: 0, ignored: found => found !== path }),
  );
  const news = new EventEmitter();
  let settling: NodeJS.Timeout | undefined;
  const settle = () => {
    clearTimeout(settling);
    settling = setTimeout(() => news.emit('settled'), settleTime);
  };
  const close = () => {
    clearTimeout(settling);
    for (const watcher of watchers) void watcher.close();
  };
  const begun = await Promise.all(
    watchers.map((watcher, i) => {
      const names = directories.get(paths[i] ?? '');
      watcher.on('raw', (_event, name) => {
        if (names === undefined || name === null || isWatched(names, name)) settle();
      });
      return new Promise<boolean>(resolve => {
        watcher.on('ready', () => resolve(true));
        watcher.on('error', error => {
          if (hasCode(error, 'ENOSPC') || isWant(error)) resolve(false);
          else settle();
        });
      });
    }),
  );
  if (begun.every(Boolean)) return { changed: once(news, 'settled'), close };
  close();
  return undefined;
}

function textOf({ directories, files }: Watched): string {
  const names = Array.from(directories, ([path, set]) => [path, [...set].sort()]);
  return JSON.stringify([names, files]);
}
