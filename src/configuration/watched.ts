import { readdir, readlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { hasCode } from '../core/tell/reason.ts';

/** Stands for every name of a profile, also of one that is not there yet. */
const anyProfile = '*.toml';

/** Directories from the root, with the names in each; and files, which a hard link may change by another name. */
export interface Watched {
  directories: ReadonlyMap<string, ReadonlySet<string>>;
  files: readonly string[];
}

/** Of symbolic links that are followed; Linux follows as many (path_resolution(7)). */
const mostLinks = 40;

/** Never throws: where something is missing, the directory that it is missing from is what counts. */
export async function whatToWatch(directory: string): Promise<Watched> {
  const more = join(directory, 'links.d');
  const files = [join(directory, 'ppp-routed.toml'), ...(await profilesIn(more))];
  const [links, resolved] = await Promise.all([resolvePath(more), Promise.all(files.map(resolvePath))]);
  const directories = new Map<string, Set<string>>();
  const add = ([at, name]: Entry) => directories.set(at, (directories.get(at) ?? new Set()).add(name));
  for (const { entries } of [links, ...resolved]) entries.forEach(add);
  if (links.target !== undefined) add([links.target, anyProfile]);
  return { directories, files: resolved.flatMap(({ target }) => target ?? []) };
}

export function isWatched(names: ReadonlySet<string>, name: string): boolean {
  return names.has(name) || (names.has(anyProfile) && name.endsWith('.toml'));
}

async function profilesIn(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch((): string[] => []);
  return names.filter(name => name.endsWith('.toml')).map(name => join(directory, name));
}

/** A directory and a name in it. */
type Entry = [directory: string, name: string];

interface Resolved {
  entries: Entry[];
  target?: string;
}

/** The directory entries that a path goes through, symbolic links followed, and where it ends, if it does. */
async function resolvePath(path: string): Promise<Resolved> {
  const entries: Entry[] = [];
  const rest = namesOf(resolve(path));
  let here = '/';
  for (let links = 0; links <= mostLinks; ) {
    const name = rest.shift();
    if (name === undefined) return { entries, target: here };
    if (name === '..') {
      here = dirname(here);
      continue;
    }
    entries.push([here, name]);
    const found = await readlink(join(here, name)).catch((error: unknown) => error);
    if (typeof found === 'string') {
      links++;
      rest.unshift(...namesOf(found));
      if (found.startsWith('/')) here = '/';
    } else if (hasCode(found, 'EINVAL')) here = join(here, name);
    else break;
  }
  return { entries };
}

function namesOf(path: string): string[] {
  return path.split('/').filter(name => name !== '' && name !== '.');
}
