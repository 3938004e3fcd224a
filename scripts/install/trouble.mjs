/** Something that stops setup or unsetup: what failed, why, and what to do about it. */
export class Trouble extends Error {
  name = 'Trouble';

  constructor({ what, why, todo }, options) {
    super(`${what}: ${why}\n  ${todo}`, options);
  }
}

const advice = {
  EACCES: 'Run it as root',
  EPERM: 'Run it as root; if you did, look for an immutable flag (lsattr) or a security module',
  EROFS:
    'The file system is mounted read-only: remount it, or on an image-based system build a package with --root',
  ENOSPC: 'Free some space and run it again; what is done already is kept',
  ENOTDIR: 'Something that is no directory stands in the way: move it',
};

/** Runs `work` on a path and names the path, the reason and a way out when it fails. */
export function withTrouble(what, work) {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof Trouble || typeof cause?.code !== 'string') throw cause;
    const todo = advice[cause.code] ?? 'Put that right and run it again; what is done already is kept';
    throw new Trouble({ what, why: cause.message, todo }, { cause });
  }
}

/** Runs the program's main function; a Trouble is a message and exit status 1, not a stack trace. */
export async function tell(program, main) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof Trouble)) throw error;
    console.error(`${program}: ${error.message}`);
    process.exitCode = 1;
  }
}
