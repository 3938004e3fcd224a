/** What a person can do about a trouble, by how it begins or what it names. The first that fits is given. */
const advice: [pattern: RegExp, words: (found: RegExpExecArray) => string][] = [
  [
    /^the configuration is not used.*: (\S+): there is no such directory/,
    ([, path]) => `Put ${path} back, or make it: it is looked for by itself (an empty one has no profiles)`,
  ],
  [
    /^the configuration is not used/,
    () =>
      'Correct the file: it is read again as soon as it is saved (ppp-routectl reload says what it thinks of it)',
  ],
  [
    /^the state cannot be written to (\S+):/,
    ([, path]) => `Make room or give leave to write at ${path}; it is tried again by itself`,
  ],
  [
    /^(\S+) (?:is|cannot be) .*: no route of ours is removed/,
    ([, path]) =>
      `Run \`ppp-routectl restore\`: it sets the file aside and gives the uplink back. Or look at ${path} and put it right, or \`rm ${path}\`: it is read again by itself`,
  ],
  [
    /^ip cannot be asked|^ip did not answer/,
    () => 'See that `ip` and `stdbuf` (iproute2, coreutils) can be run; it is tried again by itself',
  ],
  [
    /^the kernel's routes cannot be read/,
    () => 'Run `ip route show`: what it says is the reason; it is tried again by itself',
  ],
  [/^ip monitor ended/, () => 'Nothing, if it does not last: it is started again by itself'],
  [
    /^keeping (.+?): /,
    () =>
      'Nothing has to be done. To have it moved all the same, add that route without what cannot be given back',
  ],
  [
    /^the saved (.+) cannot be restored yet/,
    ([, route]) => `Bring its device up and it goes back by itself; by hand: ip route add ${route}`,
  ],
  [
    /^no uplink leads to (\S+):/,
    ([, address]) => `Bring the uplink up; \`ppp-routectl explain ${address}\` shows what there is`,
  ],
  [
    /no address for the server (\S+?)[,;]/,
    ([, name]) =>
      `See whether the name resolves (getent ahosts ${name}), or give the server's address in the profile`,
  ],
  [
    /proxy-arp is not in force$/,
    () => 'Name the interface of the LAN in proxy-arp, or give the far end an address of the LAN',
  ],
  [/does not forward, so .+: (sysctl .+)$/, ([, command]) => `Run: ${command}`],
  [
    /^(ip .*): .*not permitted/i,
    () => 'The daemon has no leave to change routes: see that its unit is the one that came with it',
  ],
  [
    /^(ip (?:-6 )?(?:route|rule|neigh) .+?): /,
    ([, command]) => `Run it by hand to see: ${command}; it is tried again by itself`,
  ],
];

/** What to do about a trouble that the daemon names. */
export function adviceFor(trouble: string): string {
  for (const [pattern, words] of advice) {
    const found = pattern.exec(trouble);
    if (found !== null) return words(found);
  }
  return 'See what led to it: journalctl -u ppp-routed';
}
