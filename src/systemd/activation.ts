/** Descriptors that systemd passed, by their FileDescriptorName=: see sd_listen_fds(3). */
export function activatedSockets(environment: NodeJS.ProcessEnv, pid: number): Map<string, number> {
  const count = Number(environment.LISTEN_FDS ?? 0);
  if (Number(environment.LISTEN_PID) !== pid || !Number.isInteger(count) || count < 1) return new Map();
  const names = (environment.LISTEN_FDNAMES ?? '').split(':');
  return new Map(Array.from({ length: count }, (_, i) => [names[i] ?? `unknown-${i}`, firstDescriptor + i]));
}

/** SD_LISTEN_FDS_START */
const firstDescriptor = 3;
