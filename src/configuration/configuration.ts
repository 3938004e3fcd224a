import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type AST, getStaticTOMLValue, parseTOML, traverseNodes } from 'toml-eslint-parser';
import * as v from 'valibot';
import { type Profile, ProfileSchema } from '../core/link/profile.ts';
import { hasCode, reasonOf } from '../core/tell/reason.ts';
import { momentOf, readPlainFile } from './plain-file.ts';

/** A configuration that cannot be used; every fault has its file, line and key. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    super(faults.join('; '));
    this.faults = faults;
  }
}

const FileSchema = v.strictObject({ link: v.optional(v.record(v.string(), v.unknown()), {}) });

/** The configuration of a daemon that runs. */
export class Configuration {
  readonly #directory: string;
  #isExpected = true;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Reads it. A directory that is not there was moved away: a package upgrade does so, and nobody asked for no profiles. But
   * where it is known that nothing came from it before (`isExpected` is false), and it has not been there since, there are none.
   * @throws ConfigurationError with every fault of every file.
   */
  async load({ isExpected = this.#isExpected }: { isExpected?: boolean } = {}): Promise<Profile[]> {
    this.#isExpected = isExpected;
    if ((await momentOf(this.#directory)) !== undefined) this.#isExpected = true;
    return loadConfiguration(this.#directory, { isExpected: this.#isExpected });
  }
}

/**
 * Reads `ppp-routed.toml` and `links.d/*.toml`, in the order of their names. Files that do not exist are empty; so is a
 * directory, but where one is expected. Something else in the place of a directory is a fault: nobody asks so for no profiles.
 * @throws ConfigurationError with every fault of every file.
 */
export async function loadConfiguration(
  directory: string,
  { isExpected = false }: { isExpected?: boolean } = {},
): Promise<Profile[]> {
  for (let reading = 1; reading <= mostReadings; reading++) {
    const before = await momentOf(directory);
    if (before === undefined && isExpected)
      throw new ConfigurationError([`${directory}: there is no such directory`]);
    const { profiles, faults } = await readDirectory(directory);
    // Where the directory was away meanwhile a file is missing that is not: that changes its ctime, as its names do.
    if ((await momentOf(directory)) !== before) continue;
    if (faults.length > 0) throw new ConfigurationError(faults);
    return profiles;
  }
  throw new ConfigurationError([`${directory}: it was another one whenever it had been read`]);
}

const mostReadings = 5;

async function readDirectory(directory: string): Promise<{ profiles: Profile[]; faults: string[] }> {
  const faults: string[] = [];
  const profiles: Profile[] = [];
  const definedIn = new Map<string, string>();
  for (const path of await configurationFiles(directory, faults)) {
    const text = await readText(path, faults);
    if (text === undefined) continue;
    for (const { profile, line } of readProfiles({ text, path }, faults)) {
      const earlier = definedIn.get(profile.name);
      if (earlier === undefined) {
        definedIn.set(profile.name, `${path}:${line}`);
        profiles.push(profile);
      } else faults.push(`${path}:${line}: link.${profile.name} is defined already in ${earlier}`);
    }
  }
  return { profiles, faults };
}

async function configurationFiles(directory: string, faults: string[]): Promise<string[]> {
  const more = join(directory, 'links.d');
  let names: string[] = [];
  try {
    names = (await readdir(more)).filter(name => name.endsWith('.toml') && !name.startsWith('.')).sort();
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) faults.push(`${more}: ${reasonOf(error)}`);
  }
  return [join(directory, 'ppp-routed.toml'), ...names.map(name => join(more, name))];
}

async function readText(path: string, faults: string[]): Promise<string | undefined> {
  try {
    return await readPlainFile(path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) faults.push(`${path}: cannot be read: ${reasonOf(error)}`);
    return undefined;
  }
}

type Syntax = ReturnType<typeof parseTOML>;

function readProfiles(
  file: { text: string; path: string },
  faults: string[],
): { profile: Profile; line: number }[] {
  const { text, path } = file;
  let syntax: Syntax;
  let values: object;
  try {
    syntax = parseTOML(text);
    refusePrototypes(syntax);
    values = getStaticTOMLValue(syntax);
  } catch (error) {
    // A thousand brackets in each other are too many for the parser's stack.
    const line = error instanceof Error && 'lineNumber' in error ? error.lineNumber : 1;
    faults.push(`${path}:${line}: not TOML: ${reasonOf(error)}`);
    return [];
  }
  const lineOf = lineFinder(syntax);
  const top = v.safeParse(FileSchema, values);
  if (!top.success) {
    for (const issue of top.issues) faults.push(sentence({ path, issue, under: [], lineOf }));
    return [];
  }
  return Object.entries(top.output.link).flatMap(([name, table]) => {
    const profile = v.safeParse(ProfileSchema, table);
    if (profile.success) return [{ profile: { name, ...profile.output }, line: lineOf(['link', name]) }];
    for (const issue of profile.issues) faults.push(sentence({ path, issue, under: ['link', name], lineOf }));
    return [];
  });
}

/** A table of this name would be everybody's: the parser's are plain objects. @throws Error with `lineNumber`. */
function refusePrototypes(syntax: Syntax): void {
  traverseNodes(syntax, {
    enterNode: node => {
      const name = node.type === 'TOMLBare' ? node.name : node.type === 'TOMLQuoted' ? node.value : '';
      if (name !== '__proto__') return;
      const lineNumber = node.loc.start.line;
      throw Object.assign(new Error('__proto__ is no name for a key'), { lineNumber });
    },
    leaveNode: () => undefined,
  });
}

interface Fault {
  path: string;
  issue: v.BaseIssue<unknown>;
  under: readonly string[];
  lineOf(keys: readonly unknown[]): number;
}

function sentence({ path, issue, under, lineOf }: Fault): string {
  const keys = [...under, ...(issue.path ?? []).map(item => item.key)];
  const key = keys
    .map(part => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '');
  const unknown = issue.expected === 'never';
  return `${path}:${lineOf(keys)}: ${key}: ${unknown ? `unknown key; expected ${knownKeys(under, issue)}` : issue.message}`;
}

function knownKeys(under: readonly string[], issue: v.BaseIssue<unknown>): string {
  if (under.length === 0) return 'tables [link.NAME]';
  if (issue.path?.[0]?.key === 'match') return 'one of interface, ipparam, linkname, peername, call';
  return `one of ${Object.keys(ProfileSchema.entries).join(', ')}`;
}

/** Tells the line on which a key stands, or the nearest key above it that the file has. Goes through the file once. */
function lineFinder(syntax: Syntax): (keys: readonly unknown[]) => number {
  const lines = new Map<string, number>();
  traverseNodes(syntax, {
    enterNode: node => {
      if (node.type !== 'TOMLTable' && node.type !== 'TOMLKeyValue') return;
      const path = JSON.stringify(pathTo(node));
      if (!lines.has(path)) lines.set(path, node.loc.start.line);
    },
    leaveNode: () => undefined,
  });
  return keys => {
    for (let depth = keys.length; depth > 0; depth--) {
      const line = lines.get(JSON.stringify(keys.slice(0, depth)));
      if (line !== undefined) return line;
    }
    return 1;
  };
}

/** The keys that lead to a node, from the top. */
function pathTo(node: AST.TOMLNode | null): readonly unknown[] {
  if (node === null) return [];
  if (node.type === 'TOMLTable') return node.resolvedKey;
  const own = node.type === 'TOMLKeyValue' ? getStaticTOMLValue(node.key) : [];
  return [...pathTo(node.parent), ...own];
}
