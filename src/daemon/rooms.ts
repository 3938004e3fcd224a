import type { Step } from '../core/decide/plan.ts';
import type { Profile } from '../core/link/profile.ts';
import type { State } from '../core/link/state.ts';
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

/** Where the state is kept. `save` must not return before the state would survive a crash. */
export interface Store {
  load(bootId: string): Promise<{ state: State; notices: { level: 'notice' | 'warning'; text: string }[] }>;
  save(state: State): Promise<void>;
}

/** The VPN server's addresses, and the names that have none yet. */
export interface ServerAddresses {
  servers: string[];
  unresolved: string[];
}

/** Finds the addresses of VPN servers. Never throws. */
export type FindServers = (
  profile: Profile,
  link: { peerOptions: readonly string[] },
) => Promise<ServerAddresses>;

type Log = (fields: object, text: string) => void;

/** Where sentences go. */
export interface Sentences {
  info: Log;
  notice: Log;
  warn: Log;
  error: Log;
}
