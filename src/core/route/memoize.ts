/** Memoizes a function of an object that is never changed but replaced. The result lives as long as the object. */
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

/** Memoizes a function of a text: the same few texts are asked about again and again. The cache is emptied when it is full. */
export function memoizeText<T>(find: (text: string) => T, most = 20_000): (text: string) => T {
  const cache = new Map<string, { value: T }>();
  return text => {
    let cached = cache.get(text);
    if (cached === undefined) {
      cached = { value: find(text) };
      if (cache.size >= most) cache.clear();
      cache.set(text, cached);
    }
    return cached.value;
  };
}
