import type { Step } from '../core/decide/plan.ts';
import type { Link } from '../core/link/link.ts';
import type { SavedDefault } from '../core/link/state.ts';
import type { Observed } from '../core/route/observed.ts';
import type { Prefix } from '../core/route/prefix.ts';

/** What became of a step. */
export interface StepResult {
  step: Step;
  error?: string;
  /** It was left out, because one that it needs failed. */
  skipped?: boolean;
  /** The kernel has something in its place: only a look tells whether it is done, or this is in its way. */
  unsure?: boolean;
}

/** What of the kernel's tables matters. */
export interface Questions {
  /** Also which interfaces forward, and which proxy neighbours there are. */
  forwarding: boolean;
  /** Foreign routes matter where they cover one of these, beside the defaults. */
  destinations: readonly Prefix[];
  /**
   * How recent the answer must be. `all`: holds everything that the kernel has done until now (a barrier). `after`: right after
   * `apply`, which ends with a barrier. `known`: what the kernel has announced so far. `heard`: the same, and `ip` is asked
   * whether it answers. `after` and `known` cost no exchange with `ip` where nothing is in doubt.
   */
  news: 'all' | 'after' | 'known' | 'heard';
}

/** The kernel's routes. Where `ip` cannot be asked, each throws an error of the name `IpError`. */
export interface Kernel {
  /** What the kernel has now, as far as it matters. */
  observe(questions: Questions): Promise<Observed>;
  /** All that the kernel has. */
  survey(questions: { forwarding: boolean }): Promise<Observed>;
  apply(steps: readonly Step[]): Promise<StepResult[]>;
}

/** What was found of the state of this boot. */
export interface Loaded {
  savedDefaults: SavedDefault[];
  links: Link[];
  /** A sentence each; `warning` where something was lost or wrong. */
  notices: { level: 'notice' | 'warning'; text: string }[];
  /** Files that are damaged or cannot be read: what they hold is not known. */
  unreadable: { path: string; why: string }[];
}

/** Where the state is kept. What is written survives a kill when the call returns; where it cannot be written it throws. */
export interface Store {
  readonly unreadable: Loaded['unreadable'];
  load(bootId: string): Loaded;
  /** Tries the files again that could not be read. */
  reread(): Loaded;
  saveLink(link: Link): void;
  removeLink(link: Link): void;
  saveDefaults(savedDefaults: readonly SavedDefault[]): void;
  /** Puts the files aside that cannot be read. Returns what could not be. */
  setAside(): { path: string; why: string }[];
}

/** Looks names up: their addresses, and the names that have none. Never rejects. */
export type LookUp = (
  names: readonly string[],
) => Promise<{ servers: readonly string[]; unresolved: string[] }>;

type Log = (fields: object, text: string) => void;

/** Where sentences go. */
export interface Sentences {
  info: Log;
  notice: Log;
  warn: Log;
  error: Log;
  /** Sends what was said: it is not lost if the process ends at once. */
  flush?(): void;
}
