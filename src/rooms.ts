import type { Observed } from './core/observed.ts';
import type { Step } from './core/plan.ts';
import type { Profile } from './core/profile.ts';
import type { State } from './core/state.ts';

/** What became of a step; `skipped`: one that it needs failed. */
export interface StepResult {
  step: Step;
  error?: string;
  skipped?: boolean;
}

/** The kernel's routes. */
export interface Kernel {
  /** `forwarding`: also ask which interfaces forward. */
  observe(questions: { forwarding: boolean }): Promise<Observed>;
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
