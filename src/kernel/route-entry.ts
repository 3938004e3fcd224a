import { type Family, formatPrefix, parseDestination, widest } from '../core/route/prefix.ts';
import { identityOf, isOwn, type Route } from '../core/route/route.ts';
import { parseRoute, types } from '../core/route/route-line.ts';

/** A line of `ip -o route show`, and as much of it as its place in the table needs. */
export class RouteEntry {
  readonly text: string;
  readonly destination: string;
  readonly length: number;
  table = 'main';
  tos = 0;
  metric = 0;
  isOwn = false;
  usesNexthopObject = false;
  /** The devices and the preferred source that it names. */
  readonly mentions: string[] = [];
  readonly #family: Family;
  #route: Route | undefined;

  /** undefined where the line is no route. */
  static of(line: string, family: Family): RouteEntry | undefined {
    const words = line.split(/[ \t\\]+/);
    const at = types.has(words[0] ?? '') ? 1 : 0;
    const word = words[at] ?? '';
    // Most lines of a big table are never looked at again. Only IPv6 has more than one spelling.
    const isPlain = family === 'inet' && /^\d+\.\d+\.\d+\.\d+(\/[1-9]\d?)?$/.test(word);
    const prefix = isPlain ? undefined : parseDestination(word, family);
    if (!isPlain && prefix === undefined) return undefined;
    const entry = new RouteEntry(line, family, prefix === undefined ? word : formatPrefix(prefix));
    entry.#readWords(words, at + 1);
    return entry;
  }

  private constructor(text: string, family: Family, destination: string) {
    this.text = text;
    this.#family = family;
    this.destination = destination;
    this.length = destination === 'default' ? 0 : Number(destination.split('/')[1] ?? widest[family]);
  }

  /** undefined where it cannot be read after all: then it is not there for anybody. */
  get route(): Route | undefined {
    this.#route ??= parseRoute(this.text, this.#family);
    return this.#route;
  }

  isSameAs(other: RouteEntry): boolean {
    if (this.text === other.text) return true;
    if (this.destination !== other.destination || this.table !== other.table) return false;
    if (this.mentions.length !== other.mentions.length || this.mentions[0] !== other.mentions[0])
      return false;
    const { route } = this;
    if (route === undefined || other.route === undefined) return false;
    return (
      identityOf(route) === identityOf(other.route) &&
      route.unrestorable === other.route.unrestorable &&
      route.attributes.join() === other.route.attributes.join()
    );
  }

  #readWords(words: readonly string[], from: number): void {
    for (let at = from; at < words.length; at++) {
      const word = words[at] ?? '';
      if (!telling.has(word)) continue;
      const value = words[++at] ?? '';
      if (word === 'table') this.table = value;
      else if (word === 'tos') this.tos = Number(value);
      else if (word === 'metric') this.metric = Number(value);
      else if (word === 'proto') this.isOwn = isOwn({ protocol: value });
      else if (word === 'nhid') this.usesNexthopObject = true;
      else this.mentions.push(`${word} ${value}`);
    }
  }
}

const telling = new Set(['table', 'tos', 'metric', 'proto', 'dev', 'src', 'nhid']);
