import { stat } from 'node:fs/promises';
import { watch } from 'chokidar';

/*
 * INVARIANTS
 * 1. What is changed after onWatching or onChange was called is told by another call of onChange.
 * 2. That holds whatever becomes of the directory: it may be moved away and back, replaced, or made anew.
 */

/**
 * Calls back, once things have settled, after any of the files or the directory itself has changed; and when it has begun to
 * watch: what was changed before is not told. Never ends.
 */
export async function watchConfiguration(
  directory: string,
  { onChange, onWatching }: { onChange(): void; onWatching(): void },
): Promise<never> {
  let tell = onWatching;
  // A directory that was moved or made anew under the same name is not watched any more, and not always that is said: so
  // it is watched anew after every change.
  for (;;)
    await watchUntilChange(directory, () => {
      tell();
      tell = onChange;
    });
}

/** An editor writes a file in several steps, a package its directory; milliseconds. */
const settleTime = 100;
/** How often it is looked whether the directory is the one that is watched; milliseconds. */
const lookTime = 1000;
/** Where the kernel has no inotify(7) watches left it does not begin; it is tried again after so many milliseconds. */
const patience = 10_000;

async function watchUntilChange(directory: string, onWatching: () => void): Promise<void> {
  const watched = await identityOf(directory);
  const watcher = watch(directory, {
    ignoreInitial: true,
    depth: 1,
    ignored: (path, stats) => stats?.isFile() === true && !path.endsWith('.toml'),
  });
  let timers: NodeJS.Timeout[] = [];
  await new Promise<void>(resolve => {
    const late = setTimeout(resolve, patience);
    let settling: NodeJS.Timeout | undefined;
    const settle = () => {
      clearTimeout(settling);
      settling = setTimeout(resolve, settleTime);
    };
    const look = async () => {
      // One that was made just now may not have its files yet.
      if ((await identityOf(directory)) !== watched) settle();
    };
    timers = [late, setInterval(() => void look(), lookTime)];
    watcher.on('ready', () => {
      clearTimeout(late);
      onWatching();
    });
    watcher.on('error', () => undefined);
    watcher.on('all', settle);
  });
  timers.forEach(clearTimeout);
  await watcher.close();
}

/** Which directory it is that has the name; or why none can be told. */
async function identityOf(directory: string): Promise<string> {
  try {
    const { dev, ino } = await stat(directory);
    return `${dev}:${ino}`;
  } catch (error) {
    return String(error);
  }
}
