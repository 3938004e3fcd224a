/** What concerns one thing is done one after the other, in the order in which it was asked for. */
export class Turns {
  /** The last of each that is under way. */
  readonly #last = new Map<string, Promise<unknown>>();

  take<T>(thing: string, act: () => Promise<T>): Promise<T> {
    const turn = (this.#last.get(thing) ?? Promise.resolve()).then(act);
    const settled = turn.catch(() => undefined);
    this.#last.set(thing, settled);
    void settled.then(() => {
      if (this.#last.get(thing) === settled) this.#last.delete(thing);
    });
    return turn;
  }
}
