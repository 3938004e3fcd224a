import { readFileSync } from 'node:fs';

/** The boot that state belongs to: `%b` of systemd.unit(5) where the unit passes it, else the kernel's (random(4)). */
export function bootIdOf(environment: NodeJS.ProcessEnv): string {
  const given = environment.PPP_ROUTED_BOOT_ID || readFileSync('/proc/sys/kernel/random/boot_id', 'utf8');
  return given.trim().replaceAll('-', '');
}
