// What `npm test` runs: the tiers, and what of each belongs to which form. Paths are below test/.

/** A tier whose tests need more than processes and files says so; where the machine lacks it, the tier does not run. */
const namespaces = 'namespaces';
const containers = 'containers';

/**
 * `says`: what it is. `paths`: the whole form. `short`: the short form, the same paths if absent. `adds`: what the whole form
 * has over it; absent where there is no other. `programs`: what its tests call. `needs`: what the machine must allow. `guest`: what of it runs in User-Mode
 * Linux where the machine allows no namespaces; `ownGuest`: the same, tests that boot it themselves. `alone`: files that measure
 * times, so nothing runs beside them. `waits`: guests that leave the processors idle most of the time. `seconds`: the time limit of one file. `as`: another user.
 */
export const tiers = {
  pure: {
    says: 'decisions, files and properties; no kernel',
    paths: [
      ...['core/route', 'core/link', 'core/decide', 'core/tell', 'daemon', 'intake', 'names', 'state'],
      ...['configuration', 'systemd', 'scripts', 'boot-id.test.ts'],
    ],
    adds: 'ten times as many random inputs for each property',
  },
  hooks: {
    says: 'the hooks against a daemon in every state',
    paths: ['hooks'],
    programs: ['bash', 'busybox', 'dash', 'perl', 'strace'],
  },
  netns: {
    says: 'the real kernel in private namespaces',
    paths: ['netns', 'kernel', 'cli', 'demo/demo.test.ts', 'readme'],
    short: [
      ...[
        'dark',
        'family6',
        'gap',
        'link',
        'links',
        'loss',
        'model',
        'modes',
        'netifd',
        'other-namespace',
        'quiet',
        'server',
      ].map(name => `netns/${name}.test.ts`),
      ...['kernel', 'cli/control-client.test.ts', 'cli/ppp-routectl.test.ts', 'cli/restore.test.ts'],
      ...['demo/demo.test.ts', 'readme'],
    ],
    needs: namespaces,
    programs: ['ip', 'unshare', 'nsenter', 'ping', 'perl', 'stdbuf'],
    guest: ['netns/quiet.test.ts', 'netns/netifd.test.ts', 'kernel/names.test.ts', 'cli/restore.test.ts'],
    adds: 'dark, refusal, roaming, site-to-site, tables, uplink, the other commands, and walks of 1000 steps instead of 60',
    seconds: 600,
  },
  'netns-user': {
    says: 'the same as an ordinary user',
    paths: ['netns', 'kernel', 'cli', 'readme'],
    short: ['netns/link.test.ts', 'kernel/subprocess.test.ts', 'cli/restore.test.ts', 'readme'],
    needs: namespaces,
    programs: ['setpriv'],
    as: 65534,
    adds: 'every file of netns, kernel and cli',
    seconds: 600,
  },
  reliability: {
    says: 'killed at every step, damaged files, an ip that misbehaves',
    paths: ['reliability'],
    short: ['reliability/state.test.ts', 'reliability/fuzz.test.ts', 'reliability/hooks.test.ts'],
    needs: namespaces,
    guest: ['reliability/fuzz.test.ts'],
    alone: ['access', 'degradation', 'hooks', 'ip', 'kill', 'queue', 'soak'].map(
      name => `reliability/${name}.test.ts`,
    ),
    adds: 'access, degradation, ip, kill, queue and soak',
    seconds: 2400,
  },
  bench: {
    says: 'what an event costs, in ratios',
    paths: ['bench'],
    needs: namespaces,
    alone: ['bench/ratios.test.ts'],
    adds: 'the ratios with 5,000 links and with 100,000 routes',
    seconds: 300,
  },
  systemd: {
    says: 'real systemd in a container',
    paths: ['activation', 'systemd', 'sandbox', 'health', 'journal', 'operations', 'idle'].map(
      name => `vm/${name}.test.ts`,
    ),
    short: ['vm/systemd.test.ts', 'vm/activation.test.ts', 'vm/sandbox.test.ts'],
    needs: containers,
    programs: ['mmdebstrap', 'systemd-nspawn'],
    waits: true,
    alone: ['vm/health.test.ts'],
    adds: 'health, journal, operations and idle',
    seconds: 300,
  },
  pppd: {
    says: 'real pppd in User-Mode Linux',
    paths: ['vm/pppd.test.ts'],
    needs: containers,
    programs: ['linux.uml', 'mmdebstrap', 'modprobe'],
    ownGuest: ['demo/demo.test.ts'],
    waits: true,
    seconds: 300,
  },
  container: {
    says: 'the demo and these tests as root of a plain container',
    paths: ['demo/plain-container.test.ts'],
    needs: containers,
    programs: ['linux.uml', 'modprobe', 'pppd', 'setpriv'],
    waits: true,
    adds: 'npm test there, not only the demo',
    seconds: 1500,
  },
};

/** Debian's package of each program. */
export const packages = {
  bash: 'bash',
  busybox: 'busybox',
  dash: 'dash',
  ip: 'iproute2',
  'linux.uml': 'user-mode-linux',
  mmdebstrap: 'mmdebstrap',
  modprobe: 'kmod',
  nsenter: 'util-linux',
  perl: 'perl-base',
  ping: 'iputils-ping',
  pppd: 'ppp',
  ps: 'procps',
  setpriv: 'util-linux',
  stdbuf: 'coreutils',
  strace: 'strace',
  'systemd-nspawn': 'systemd-container',
  tcc: 'tcc',
  unshare: 'util-linux',
};
