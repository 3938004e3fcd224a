import { familyOf } from '../route/prefix.ts';
import type { Link } from './link.ts';
import { serversOf } from './profile.ts';

/** Options of pptp(8) that take a value in the next word. */
const pptpOptionsWithValue = new Set(
  '--phone --quirks --timeout --idle-wait --max-echo-wait --logstring --localbind --rtmark --loglevel --missing-window --test-type --test-rate'.split(
    ' ',
  ),
);

/** The servers in a peers file: `pty "pptp SERVER …"` (pptp(8)), `pptp_server SERVER` (accel-pptp's plugin). */
export function serversInPeerOptions(lines: readonly string[]): string[] {
  return lines.flatMap(line => {
    const [option, ...rest] = line.trim().split(/\s+/);
    const words = rest.map(word => word.replace(/^["']+|["']+$/g, '')).filter(Boolean);
    if (option === 'pptp_server') return words[0] === undefined ? [] : onlyServers([words[0]]);
    return option === 'pty' ? serverOfPptp(words) : [];
  });
}

/** The servers of pptp processes that run: `process pptp SERVER …`, the command line as the hook found it in proc(5). */
export function serversOfProcesses(lines: readonly string[]): string[] {
  return lines.flatMap(line => {
    const [option, ...words] = line.split(' ');
    return option === 'process' ? serverOfPptp(words) : [];
  });
}

/** The server in a command line of pptp. */
function serverOfPptp(words: readonly string[]): string[] {
  const at = words.findIndex(word => /(^|\/)pptp$/.test(word));
  if (at < 0) return [];
  for (let i = at + 1; i < words.length; i++) {
    const word = words[i] ?? '';
    if (pptpOptionsWithValue.has(word)) i++;
    else if (!word.startsWith('-')) return onlyServers([word]);
  }
  return [];
}

/** Host names and addresses only; whatever else stands there is not asked for in the DNS. */
function onlyServers(words: readonly string[]): string[] {
  return words.filter(word => /^[A-Za-z0-9:]([A-Za-z0-9._:-]{0,253}[A-Za-z0-9])?$/.test(word));
}

type Named = Pick<Link, 'profile' | 'peerOptions'>;

/** What a link's profile asks for: the servers that are given by address, and those whose names have to be looked up. */
export function wantedServers({ profile, peerOptions }: Named): { addresses: string[]; names: string[] } {
  const configured = profile === undefined ? 'none' : serversOf(profile);
  const servers =
    configured === 'none' ? [] : configured === 'auto' ? automaticServers(peerOptions) : configured;
  const isAddress = (server: string) => familyOf(server) !== undefined;
  return {
    addresses: servers.filter(isAddress),
    names: servers.filter(server => !isAddress(server)),
  };
}

/** The process knows the address that is really in use; the peers file may only know a name of several machines. */
function automaticServers(peerOptions: readonly string[]): string[] {
  const running = serversOfProcesses(peerOptions);
  const connected = running.filter(server => familyOf(server) !== undefined);
  return connected.length > 0 ? connected : [...new Set([...running, ...serversInPeerOptions(peerOptions)])];
}

/**
 * The addresses of a link's servers, after its names were looked up. While one has no answer, what was known of the very same
 * servers holds on: a name server is often out of reach for as long as the link is not what it was, and without its address
 * a server has no pin, or the link no default.
 */
export function serversAfter(
  { servers, unresolved }: { servers: readonly string[]; unresolved: readonly string[] },
  link: Named,
  earlier: readonly (Named & Pick<Link, 'servers'>)[],
): string[] {
  if (unresolved.length === 0) return [...servers];
  const wanted = namesOf(link);
  const kept = earlier.filter(one => namesOf(one) === wanted).flatMap(one => one.servers);
  return [...new Set([...servers, ...kept])];
}

/** Without an address of its server to pin, a default over a link could loop the tunnel through itself. */
export function isServerKnown({
  servers,
  unresolved = [],
  asking,
}: Pick<Link, 'servers' | 'unresolved' | 'asking'>): boolean {
  return servers.length > 0 || (unresolved.length === 0 && asking !== true);
}

/** What the servers of a link are called, in one text to compare. */
export function namesOf({ profile, peerOptions }: Named): string {
  if (profile === undefined) return '';
  const configured = serversOf(profile);
  const names =
    configured === 'auto'
      ? ['auto', ...serversOfProcesses(peerOptions), ...serversInPeerOptions(peerOptions)]
      : [configured].flat();
  return [...new Set(names)].sort().join(' ');
}
