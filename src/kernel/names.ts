/** What a link's name and index mean for an `ip` that has been running for a while. */
export type NameNews =
  /** Nothing that it could know otherwise. */
  | 'none'
  /** The name belonged to another interface: a request for it would go to that one's index. */
  | 'reused'
  /** The interface had another name: what is printed would still call it by that. */
  | 'renamed';

/** Names and indexes since the `ip` were started: each looks one up once (ll_name_to_index() in iproute2's ll_map.c). */
export class Names {
  readonly #indexes = new Map<string, number>();
  readonly #names = new Map<number, string>();

  hear({ name, ifindex }: { name: string; ifindex: number }): NameNews {
    const formerName = this.#names.get(ifindex);
    const formerIndex = this.#indexes.get(name);
    this.#names.set(ifindex, name);
    this.#indexes.set(name, ifindex);
    if (formerName !== undefined && formerName !== name) return 'renamed';
    return formerIndex !== undefined && formerIndex !== ifindex ? 'reused' : 'none';
  }

  /** How many have been remembered; interfaces that are long gone are among them. */
  get size(): number {
    return this.#names.size;
  }

  /** Other processes were started. */
  forget(): void {
    this.#indexes.clear();
    this.#names.clear();
  }
}
