import { lookup } from 'node:dns/promises';
import { familyOf } from '../core/prefix.ts';
import { type Profile, serversOf } from '../core/profile.ts';
import { serversInPeerOptions, serversOfProcesses } from '../core/server.ts';

/** The VPN server's addresses, and the names that have none yet. */
export interface ServerAddresses {
  servers: string[];
  unresolved: string[];
}

/** How long a name may take to resolve: a hook waits 2 s for the whole of its event. Milliseconds. */
const patience = 1200;

/** Who the server of a link is: from its profile, the peers file and the pptp process. Never throws. */
export async function findServers(
  profile: Profile,
  link: { peerOptions: readonly string[] },
): Promise<ServerAddresses> {
  const configured = serversOf(profile);
  if (configured === 'none') return { servers: [], unresolved: [] };
  const names = configured === 'auto' ? automaticServers(link.peerOptions) : configured;
  const resolved = await Promise.all(names.map(async name => ({ name, addresses: await addressesOf(name) })));
  return {
    servers: [...new Set(resolved.flatMap(({ addresses }) => addresses))],
    unresolved: resolved.filter(({ addresses }) => addresses.length === 0).map(({ name }) => name),
  };
}

/** The process knows the address that is really in use; the peers file may only know a name of several machines. */
function automaticServers(peerOptions: readonly string[]): string[] {
  const running = serversOfProcesses(peerOptions);
  const written = serversInPeerOptions(peerOptions);
  const connected = running.filter(server => familyOf(server) !== undefined);
  return connected.length > 0 ? connected : [...new Set([...running, ...written])];
}

/** Every address of a name, as the machine resolves names (nsswitch.conf(5)); none if that takes too long. */
async function addressesOf(name: string): Promise<string[]> {
  if (familyOf(name) !== undefined) return [name];
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string[]>(resolve => {
    timer = setTimeout(resolve, patience, []);
  });
  const found = lookup(name, { all: true }).then(
    answers => answers.map(({ address }) => address).filter(address => familyOf(address) !== undefined),
    () => [],
  );
  return Promise.race([found, late]).finally(() => clearTimeout(timer));
}
