import { type Change, foundServers, type Lookup, lookupsOf } from '../core/link/change.ts';
import { wantedServers } from '../core/link/server.ts';
import type { LookUp } from './rooms.ts';
import { type Settlement, uplinksOf } from './settle.ts';

/** Asks the hook of an event for what it did not tell; undefined: no answer. */
export type AskHook = () => Promise<string[] | undefined>;

/** Looks for the servers of links beside the loop: what is found is one more change. */
export class Lookups {
  readonly #lookUp: LookUp;
  readonly #put: (change: Change) => void;
  #uplinks: string | undefined;

  constructor(lookUp: LookUp, put: (change: Change) => void) {
    this.#lookUp = lookUp;
    this.#put = put;
  }

  begin(lookups: readonly Lookup[], askHook?: AskHook): void {
    for (const lookup of lookups) void this.#find(lookup, askHook);
  }

  /** Another uplink may know another address of a server's name. The pins there are hold meanwhile. */
  followUplinks(settlement: Settlement | undefined): void {
    const before = this.#uplinks;
    this.#uplinks = settlement && uplinksOf(settlement);
    if (settlement === undefined || before === undefined) return;
    if (this.#uplinks === before || this.#uplinks === '') return;
    this.begin(lookupsOf(settlement.state.links, ({ lost }) => lost !== true));
  }

  async #find(lookup: Lookup, askHook: AskHook | undefined): Promise<void> {
    const { link, asksHook } = lookup;
    const told = asksHook ? await askHook?.() : undefined;
    const peerOptions = told ?? link.peerOptions;
    const { addresses, names } = wantedServers({ profile: link.profile, peerOptions });
    const found = names.length === 0 ? { servers: [], unresolved: [] } : await this.#lookUp(names);
    const { unresolved } = found;
    this.#put(foundServers(lookup, { peerOptions, servers: [...addresses, ...found.servers], unresolved }));
  }
}
