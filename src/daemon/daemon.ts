import { configureLinks, lookupsOf, releaseLinks, takeEvent } from '../core/link/change.ts';
import type { LinkEvent } from '../core/link/event.ts';
import { afterAll, type Link } from '../core/link/link.ts';
import { type Profile, profileFor } from '../core/link/profile.ts';
import { wantedServers } from '../core/link/server.ts';
import type { State } from '../core/link/state.ts';
import type { Observed } from '../core/route/observed.ts';
import { eventFields, messageIds } from '../core/tell/message.ts';
import { type Rehearsal, rehearse } from '../core/tell/rehearsal.ts';
import type { Snapshot } from '../core/tell/snapshot.ts';
import { eventLine, linkLine } from '../core/tell/status.ts';
import { Health } from './health.ts';
import { type AskHook, Lookups } from './lookups.ts';
import { Loop } from './loop.ts';
import { type Reply, replyTo } from './reply.ts';
import type { Kernel, Loaded, LookUp, Sentences, Store } from './rooms.ts';
import { asksForForwarding } from './settle.ts';
import { isShownIn } from './shown.ts';

export interface DaemonOptions {
  kernel: Kernel;
  store: Store;
  lookUp: LookUp;
  journal: Sentences;
  /** Called with the status line whenever it changes. */
  onStatus(line: string): void;
  bootId: string;
  /** The inode of the network namespace that the daemon is in: events of another are ignored. */
  netns?: number | undefined;
  /** How long after a fault the daemon tries again by itself, in milliseconds. */
  retryAfter: number;
}

/** What can be asked of the daemon. Whatever changes links is a change in the inbox of its loop. */
export class Daemon {
  readonly #options: DaemonOptions;
  readonly #loop: Loop;
  readonly #lookups: Lookups;
  readonly #health: Health;
  /** The number of the next event: the newest link has the highest. */
  #arrivals = 1;
  #isPartial = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#health = new Health(options);
    this.#lookups = new Lookups(options.lookUp, change => this.#loop.put({ change }));
    this.#loop = new Loop({
      ...options,
      health: this.#health,
      onIdle: settlement => {
        this.#lookups.followUplinks(settlement);
        // A file that was written anew can be read again.
        if (this.#isPartial) this.#tellUnreadable(options.store.unreadable);
        this.#scheduleRetry();
      },
    });
  }

  /**
   * Takes up where the last run of this boot left: reads the state, asks for the profiles and makes the kernel's routes what
   * they should be. What the links came up with says whether there was a configuration. Without profiles (it cannot be read)
   * the links that are up keep those they have.
   */
  async start(
    readProfiles: (links: readonly Link[]) => Promise<readonly Profile[] | undefined>,
  ): Promise<void> {
    const { store, bootId } = this.#options;
    this.#load(store.load(bootId));
    const { links, others } = this.#loop.state;
    const profiles = await readProfiles([...links, ...others]);
    this.#loop.begin();
    await (profiles === undefined ? this.reconcile() : this.configure(profiles));
  }

  /** A new configuration; links that are up move to what it says without a gap. Resolves when the kernel was looked at after it. */
  async configure(profiles: readonly Profile[]): Promise<void> {
    this.#loop.profiles = profiles;
    const settled = this.#loop.change({
      change: configureLinks,
      onTaken: ({ lookups }) => this.#lookups.begin(lookups),
    });
    settled.catch(() => undefined);
    await this.reconcile();
    // Where ip cannot be asked it waits, and nobody need wait with it.
    if (!this.#health.hasFault('ip')) await settled;
  }

  /**
   * Applies an event; the answer comes when the kernel's routes have been looked at after the change, and its servers were
   * found or have no address. `askHook`: its hook waits, and can be asked how the link is carried.
   * @throws Error where the event cannot be taken in by a fault of our own; all is as if it had not come.
   */
  async handle(event: LinkEvent, askHook?: AskHook): Promise<Reply> {
    const { changed, settlement } = await this.#loop.change({
      change: takeEvent(event, { arrival: this.#arrivals++, canAsk: askHook !== undefined }),
      event,
      isShown: observed => isShownIn(observed, event),
      onTaken: taken => {
        const level = taken.outcome === 'stale' ? 'notice' : 'info';
        this.#options.journal[level](eventFields(event, taken), eventLine(event, taken));
        this.#lookups.begin(taken.lookups, askHook);
      },
    });
    return replyTo(changed, settlement, () => this.#loop.nextSave());
  }

  /**
   * Looks at the kernel and puts right what is not. Resolves when a look that began after the call is done with; true
   * if anything had to be changed.
   */
  reconcile(): Promise<boolean> {
    return this.#loop.wake('all');
  }

  /** The same where nothing calls for it: the kernel is not made to say anything, and so nobody else hears of it. */
  check(): Promise<boolean> {
    return this.#loop.wake();
  }

  /** The admin's word: every link is let go until it comes up anew, and the uplink gets its defaults back. */
  async release(): Promise<Snapshot> {
    const { journal, store } = this.#options;
    journal.notice(
      { MESSAGE_ID: messageIds.uplinkRestored },
      'restoring the uplink, as the administrator asked; links that are up are left alone until they come up anew',
    );
    this.#loop.put({ change: releaseLinks });
    this.#tellUnreadable(store.setAside());
    await this.reconcile();
    return this.snapshot();
  }

  /** Something outside of the routes is wrong, or right again (`undefined`): said in the status. */
  report(origin: string, fault: string | undefined): void {
    this.#health.report(origin, fault);
  }

  /** How things stand, for the control socket. */
  snapshot(): Snapshot {
    const { status, troubles, warnings } = this.#health;
    const { links, others, savedDefaults } = this.#loop.state;
    const says = (link: Link) => linkLine(link, this.#loop.settlement?.decision);
    return {
      status,
      degraded: troubles.length > 0,
      troubles,
      warnings,
      links: [...links, ...others].map(link => ({ ...link, says: says(link) })),
      savedDefaults: [...savedDefaults],
    };
  }

  /**
   * What the kernel had at a look just now.
   * @throws Error where ip cannot be asked.
   */
  async look(): Promise<Observed> {
    await this.reconcile();
    if (this.#loop.settlement === undefined || this.#health.hasFault('ip'))
      throw new Error(this.#health.troubles.join('; '));
    return this.#options.kernel.survey({ forwarding: asksForForwarding(this.#loop.state) });
  }

  /** What would be done at an event: a dry run against what the kernel has now. */
  async rehearse(event: LinkEvent): Promise<Rehearsal> {
    await this.look();
    const { kernel, lookUp } = this.#options;
    const observed = await kernel.survey({ forwarding: true });
    const { state, profiles } = this.#loop;
    const profile = profiles && profileFor(profiles, event);
    const { addresses, names } = wantedServers({ profile, peerOptions: event.peerOptions });
    const { servers, unresolved } = await lookUp(names);
    const found = { servers: [...addresses, ...servers], unresolved };
    return rehearse({ state, observed, event, profiles, found });
  }

  /** Resolves when the pass under way is done with; there are no more by themselves. */
  async close(): Promise<void> {
    await this.#loop.close();
    clearTimeout(this.#retry);
  }

  #load(loaded: Loaded): void {
    const found = this.#found(loaded);
    this.#loop.load({ bootId: this.#options.bootId, ...found });
    // Above those in files that cannot be read, too: the time since the boot is above what any earlier run has counted to.
    this.#arrivals = Math.max(afterAll(found), Number(process.hrtime.bigint() / 1000n));
    this.#tellUnreadable(loaded.unreadable);
  }

  #found({ savedDefaults, links, notices }: Loaded): Omit<State, 'bootId'> {
    const { journal } = this.#options;
    for (const { level, text } of notices)
      journal[level === 'warning' ? 'warn' : 'notice']({ MESSAGE_ID: messageIds.stateSetAside }, text);
    // Whoever was asked has gone.
    const found = links.map(link => (link.asking === true ? { ...link, asking: undefined } : link));
    return {
      savedDefaults,
      links: found.filter(({ profile }) => profile !== undefined),
      others: found.filter(({ profile }) => profile === undefined),
    };
  }

  /** Whatever is wrong may come right without a word: look again by and by. */
  #scheduleRetry(): void {
    clearTimeout(this.#retry);
    if (this.#health.troubles.length === 0) return;
    this.#retry = setTimeout(() => {
      if (this.#isPartial) this.#reread();
      this.#lookups.begin(lookupsOf(this.#loop.state.links, link => (link.unresolved ?? []).length > 0));
      void this.reconcile();
    }, this.#options.retryAfter);
  }

  #reread(): void {
    const loaded = this.#options.store.reread();
    if (loaded.links.length + loaded.savedDefaults.length > 0)
      this.#loop.recall(this.#found(loaded), ({ lookups }) => this.#lookups.begin(lookups));
    this.#tellUnreadable(loaded.unreadable);
  }

  #tellUnreadable(unreadable: Loaded['unreadable']): void {
    const [first] = unreadable;
    this.#isPartial = first !== undefined;
    this.#loop.isPartial = this.#isPartial;
    const more = unreadable.length > 1 ? ` (and ${unreadable.length - 1} more files)` : '';
    this.report(
      'unreadable',
      first &&
        `${first.path} ${first.why}${more}: no route of ours is removed and no default restored, because a link that must stay dark may be in it; ppp-routectl restore sets it aside`,
    );
  }
}
