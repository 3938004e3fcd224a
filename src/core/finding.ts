/**
 * Finds something out about a thing, and for none twice. Only for things that are never changed but replaced; what was found
 * goes with the thing.
 */
export function finding<Thing extends object, T>(find: (thing: Thing) => T): (thing: Thing) => T {
  const found = new WeakMap<Thing, { value: T }>();
  return thing => {
    let kept = found.get(thing);
    if (kept === undefined) {
      kept = { value: find(thing) };
      found.set(thing, kept);
    }
    return kept.value;
  };
}
