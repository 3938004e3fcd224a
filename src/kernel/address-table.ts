import type { Address } from '../core/route/observed.ts';
import type { Family } from '../core/route/prefix.ts';

/** The addresses of all interfaces. What `list` returns is never changed afterwards. */
export class AddressTable {
  readonly #byKey = new Map<string, Address>();
  /** The keys of each device. */
  readonly #keysOf = new Map<string, Set<string>>();
  /** How many interfaces have an address: IPv4 allows for one on several, and several times on one. */
  readonly #counts = new Map<string, number>();
  #list: Address[] | undefined;

  get list(): Address[] {
    this.#list ??= [...this.#byKey.values()];
    return this.#list;
  }

  /** Is that address on any interface? */
  has({ family, address }: Pick<Address, 'family' | 'address'>): boolean {
    return this.#counts.has(`${family} ${address}`);
  }

  hasAnyOn(dev: string, family: Family): boolean {
    return [...(this.#keysOf.get(dev) ?? [])].some(key => this.#byKey.get(key)?.family === family);
  }

  /** Adds an address, or changes it in place. @returns true if the table is another now */
  set(address: Address): boolean {
    const key = keyOf(address);
    const known = this.#byKey.get(key);
    if (known !== undefined && known.peer === address.peer && known.length === address.length) return false;
    if (known === undefined) {
      this.#count(address, 1);
      this.#keysOf.set(address.dev, (this.#keysOf.get(address.dev) ?? new Set()).add(key));
    }
    this.#byKey.set(key, address);
    this.#list = undefined;
    return true;
  }

  /** @returns true if the table is another now */
  delete(address: Address): boolean {
    const key = keyOf(address);
    if (!this.#byKey.delete(key)) return false;
    this.#count(address, -1);
    const keys = this.#keysOf.get(address.dev);
    keys?.delete(key);
    if (keys?.size === 0) this.#keysOf.delete(address.dev);
    this.#list = undefined;
    return true;
  }

  deleteAllOn(dev: string): void {
    for (const key of this.#keysOf.get(dev) ?? []) {
      const address = this.#byKey.get(key);
      if (address !== undefined) this.delete(address);
    }
  }

  #count({ family, address }: Address, by: 1 | -1): void {
    const of = `${family} ${address}`;
    const count = (this.#counts.get(of) ?? 0) + by;
    if (count > 0) this.#counts.set(of, count);
    else this.#counts.delete(of);
  }
}

/**
 * An interface has an IPv6 address once: its peer is changed in place, and only the new one is announced (inet6_addr_modify()).
 * IPv4 addresses with different peers are different ones (__inet_insert_ifa()).
 */
function keyOf({ dev, family, address, length, peer }: Address): string {
  return family === 'inet6' ? `${dev} ${address}` : `${dev} ${address}/${length} ${peer}`;
}
