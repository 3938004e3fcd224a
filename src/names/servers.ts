import { type Profile, serversOf } from '../core/link/profile.ts';
import { serversInPeerOptions, serversOfProcesses } from '../core/link/server.ts';
import { familyOf } from '../core/route/prefix.ts';
import type { Resolve } from './resolver.ts';

/** The VPN server's addresses, and the names that have none yet. */
export interface ServerAddresses {
  servers: string[];
  unresolved: string[];
}

/** How long a name may take to resolve: a hook waits 2 s for the whole of its event. Milliseconds. */
const patience = 1200;

/** Finds out who the server of a link is: from its profile, the pptp process and the peers file. Never throws. */
export function createFindServers(resolve: Resolve) {
  const addressesOf = createLookup(resolve);
  return async (profile: Profile, link: { peerOptions: readonly string[] }): Promise<ServerAddresses> => {
    const configured = serversOf(profile);
    if (configured === 'none') return { servers: [], unresolved: [] };
    const names = configured === 'auto' ? automaticServers(link.peerOptions) : configured;
    const resolved = await Promise.all(
      names.map(async name => ({ name, addresses: await addressesOf(name) })),
    );
    return {
      servers: [...new Set(resolved.flatMap(({ addresses }) => addresses))],
      unresolved: resolved.filter(({ addresses }) => addresses.length === 0).map(({ name }) => name),
    };
  };
}

/** The process knows the address that is really in use; the peers file may only know a name of several machines. */
function automaticServers(peerOptions: readonly string[]): string[] {
  const running = serversOfProcesses(peerOptions);
  const written = serversInPeerOptions(peerOptions);
  const connected = running.filter(server => familyOf(server) !== undefined);
  return connected.length > 0 ? connected : [...new Set([...running, ...written])];
}

/** Every address of a name; none if there is none, or if that takes too long. */
function createLookup(resolve: Resolve): (name: string) => Promise<string[]> {
  // A thousand links of one server come up at once, and ask once.
  const underWay = new Map<string, Promise<string[]>>();
  return async name => {
    if (familyOf(name) !== undefined) return [name];
    const asked = underWay.get(name) ?? ask(resolve, name).finally(() => underWay.delete(name));
    underWay.set(name, asked);
    return asked;
  };
}

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
