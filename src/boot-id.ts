import { readFileSync } from 'node:fs';

/**
 * The boot that state belongs to, as the kernel writes it (random(4)): from `%b` of systemd.unit(5), which leaves the
 * dashes out, where the unit passes it; /proc/sys may be hidden from the daemon.
 */
export function bootIdOf(environment: NodeJS.ProcessEnv): string {
  const given = environment.PPP_ROUTED_BOOT_ID || readFileSync('/proc/sys/kernel/random/boot_id', 'utf8');
  const digits = given.trim().replaceAll('-', '');
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
