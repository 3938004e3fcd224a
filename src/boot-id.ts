import { readFileSync } from 'node:fs';
import { reasonOf } from './core/tell/reason.ts';

/** Nobody can tell whether what is saved is of this boot: then it can neither be used nor thrown away. */
export class BootIdError extends Error {
  override readonly name = 'BootIdError';
}

/**
 * The boot that state belongs to, as the kernel writes it (random(4)): from `%b` of systemd.unit(5), which leaves the
 * dashes out, where the unit passes it; /proc/sys may be hidden from the daemon. There is no other place to read it: the
 * time of the boot in /proc/stat moves with the clock.
 * @throws BootIdError
 */
export function bootIdOf(environment: NodeJS.ProcessEnv): string {
  const given = environment.PPP_ROUTED_BOOT_ID || readBootId();
  const digits = given.trim().replaceAll('-', '');
  // An empty one, of a file that was masked, would be the same after the next boot.
  if (!/^[0-9a-f]{32}$/.test(digits)) throw cannotTell(`${JSON.stringify(given)} is none`);
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

const path = '/proc/sys/kernel/random/boot_id';

function readBootId(): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw cannotTell(reasonOf(error));
  }
}

function cannotTell(reason: string): BootIdError {
  return new BootIdError(
    `the boot id is not known: ${reason}; let ${path} be read, or set PPP_ROUTED_BOOT_ID to it (in a unit: Environment=PPP_ROUTED_BOOT_ID=%b)`,
  );
}
