import { join } from 'node:path';
import { watch } from 'chokidar';
import { momentOf } from './moment.ts';

/*
 * INVARIANTS
 * 1. What is changed after onWatching or onChange was called is told by another call of one of them.
 * 2. That holds whatever becomes of the directory and what is in it: it may be moved away and back, replaced, or made anew, and
 *    as something else than it was.
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
  // What was moved or made anew under the same name is not watched any more, and not always that is said: so all is watched
  // anew after every change.
  for (;;)
    await watchUntilChange(directory, {
      onChange: () => {
        tell = onChange;
      },
      onWatching: () => {
        tell();
        tell = onWatching;
      },
    });
}

/** An editor writes a file in several steps, a package its directory; milliseconds. */
const settleTime = 100;
/** How often it is looked whether what is there is what is watched; milliseconds. */
const lookTime = 1000;
/** Where the kernel has no inotify(7) watches left it does not begin; it is tried again after so many milliseconds. */
const patience = 10_000;

async function watchUntilChange(
  directory: string,
  { onChange, onWatching }: { onChange(): void; onWatching(): void },
): Promise<void> {
  const watched = await momentsIn(directory);
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
      if ((await momentsIn(directory)) !== watched) settle();
    };
    timers = [late, setInterval(() => void look(), lookTime)];
    watcher.on('ready', () => {
      clearTimeout(late);
      onWatching();
    });
    watcher.on('error', () => undefined);
    watcher.on('all', () => {
      onChange();
      settle();
    });
  });
  timers.forEach(clearTimeout);
  await watcher.close();
}

/** What the watcher misses changes one of these: which directories there are, and since when they have the names in them. */
async function momentsIn(directory: string): Promise<string> {
  return (await Promise.all([directory, join(directory, 'links.d')].map(momentOf))).join(' ');
}
