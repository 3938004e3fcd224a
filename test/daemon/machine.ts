// What a test of the daemon says of its machine: the disk, the profiles, the events and the links that are plugged in.
import * as v from 'valibot';
import type { LinkEvent } from '../../src/core/link/event.ts';
import type { Link } from '../../src/core/link/link.ts';
import { type Profile, ProfileSchema } from '../../src/core/link/profile.ts';
import type { SavedDefault } from '../../src/core/link/state.ts';
import type { Loaded, Store } from '../../src/daemon/rooms.ts';
import type { FakeKernel } from './fake-kernel.ts';

export const server = '203.0.113.5';
export const quiet = {
  info: () => undefined,
  notice: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** A disk that a test can make fail, whose files it can damage, and that a crash cannot take anything from. */
export class Disk implements Store {
  readonly #links = new Map<string, Link>();
  #savedDefaults: readonly SavedDefault[] = [];
  /** Files that could not be read when they were last tried. */
  readonly #damaged = new Map<string, 'damaged' | 'repaired'>();
  full = false;
  beforeSave: () => void = () => undefined;

  /** What a daemon that starts would read. */
  get state(): { savedDefaults: readonly SavedDefault[]; links: Link[] } {
    return structuredClone({ savedDefaults: this.#savedDefaults, links: [...this.#links.values()] });
  }

  get unreadable(): Loaded['unreadable'] {
    return [...this.#damaged.keys()].map(key => ({ path: `/state/${key}`, why: 'is damaged' }));
  }

  damage(which: 'links' | 'defaults'): void {
    for (const key of which === 'links' ? this.#links.keys() : ['state.json'])
      this.#damaged.set(key, 'damaged');
  }

  /** The next to try finds what was in them. */
  repair(): void {
    for (const key of this.#damaged.keys()) this.#damaged.set(key, 'repaired');
  }

  load(): Loaded {
    return this.#read(key => !this.#damaged.has(key));
  }

  reread(): Loaded {
    const repaired = new Set([...this.#damaged].flatMap(([key, how]) => (how === 'repaired' ? key : [])));
    for (const key of repaired) this.#damaged.delete(key);
    return this.#read(key => repaired.has(key));
  }

  saveLink(link: Link): void {
    this.#write(keyOf(link), () => this.#links.set(keyOf(link), structuredClone(link)));
  }

  removeLink(link: Link): void {
    this.#write(keyOf(link), () => this.#links.delete(keyOf(link)));
  }

  saveDefaults(savedDefaults: readonly SavedDefault[]): void {
    this.#write('state.json', () => {
      this.#savedDefaults = structuredClone(savedDefaults);
    });
  }

  setAside(): Loaded['unreadable'] {
    for (const key of this.#damaged.keys()) {
      this.#links.delete(key);
      if (key === 'state.json') this.#savedDefaults = [];
    }
    this.#damaged.clear();
    return [];
  }

  #read(isMeant: (key: string) => boolean): Loaded {
    const links = [...this.#links].flatMap(([key, link]) => (isMeant(key) ? link : []));
    const savedDefaults = isMeant('state.json') ? [...this.#savedDefaults] : [];
    return { ...structuredClone({ links, savedDefaults }), notices: [], unreadable: this.unreadable };
  }

  #write(key: string, write: () => void): void {
    this.beforeSave();
    if (this.full) throw new Error('no space left on device');
    write();
    this.#damaged.delete(key);
  }
}

function keyOf({ ifindex, lost, order }: Link): string {
  return lost === true ? `${ifindex} lost ${order}` : `${ifindex}`;
}

/** Names that are looked up for nobody. */
export const noNames = async (names: readonly string[]) => ({ servers: [], unresolved: [...names] });

export function profile(name: string, settings: object): Profile {
  return { name, ...v.parse(ProfileSchema, { server, ...settings }) };
}

export function event(name: LinkEvent['name'], link: string, more: Partial<LinkEvent> = {}): LinkEvent {
  return {
    version: 1,
    name,
    interface: link,
    local: '10.99.0.2',
    remote: '10.99.0.1',
    ipparam: 'work',
    pid: 7,
    dns: [],
    peerOptions: [],
    ...more,
  };
}

let nextIndex = 100;
export function plug(kernel: FakeKernel, name: string): void {
  kernel.interfaces.push({ name, ifindex: nextIndex++, up: true });
  kernel.add(`10.99.0.1 dev ${name} proto kernel scope link src 10.99.0.2`);
}
