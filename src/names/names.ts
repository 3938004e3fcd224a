import { familyOf } from '../core/route/prefix.ts';
import type { Resolve } from './resolver.ts';

/** How long a name may take to resolve: a hook waits 2 s for the whole of its event. Milliseconds. */
const patience = 1200;

/** Every address of names, and the names without one, or without one in time. Asks once. Never rejects. */
export function createLookUp(resolve: Resolve) {
  const underWay = new Map<string, Promise<string[]>>();
  const addressesOf = (name: string): Promise<string[]> => {
    const asked = underWay.get(name) ?? ask(resolve, name).finally(() => underWay.delete(name));
    underWay.set(name, asked);
    return asked;
  };
  return async (names: readonly string[]): Promise<{ servers: string[]; unresolved: string[] }> => {
    const found = await Promise.all(names.map(async name => ({ name, addresses: await addressesOf(name) })));
    return {
      servers: [...new Set(found.flatMap(({ addresses }) => addresses))],
      unresolved: found.filter(({ addresses }) => addresses.length === 0).map(({ name }) => name),
    };
  };
}

/** Every address of a name; none if there is none, or if that takes too long. */
function ask(resolve: Resolve, name: string): Promise<string[]> {
  let timer: NodeJS.Timeout | undefined;
  const asking = new AbortController();
  const late = new Promise<string[]>(give => {
    timer = setTimeout(() => {
      give([]);
      asking.abort();
    }, patience);
  });
  const found = resolve(name, asking.signal).then(
    answers => answers.filter(address => familyOf(address) !== undefined),
    () => [],
  );
  return Promise.race([found, late]).finally(() => clearTimeout(timer));
}
