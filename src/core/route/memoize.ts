/**
 * Memoizes a function of one object, weakly: the result lives as long as the object. Only for objects that are never changed
 * but replaced.
 */
export function memoize<Thing extends object, T>(find: (thing: Thing) => T): (thing: Thing) => T {
  const cache = new WeakMap<Thing, { value: T }>();
  return thing => {
    let cached = cache.get(thing);
    if (cached === undefined) {
      cached = { value: find(thing) };
      cache.set(thing, cached);
    }
    return cached.value;
  };
}
