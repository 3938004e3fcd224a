// The daemon in a lab, started in ways that the lab itself has no use for.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab, Status } from '../netns/lab.ts';
import type { Started } from '../netns/namespace.ts';

export const program =
  process.env.PPP_ROUTED_PROGRAM ?? join(import.meta.dirname, '../../dist/ppp-routed.js');

/** The directories of the lab, in systemd's variables. */
export function environmentOf(lab: Lab): Record<string, string> {
  return {
    CONFIGURATION_DIRECTORY: join(lab.directory, 'etc'),
    RUNTIME_DIRECTORY: join(lab.directory, 'run'),
    STATE_DIRECTORY: join(lab.directory, 'state'),
  };
}

/** The daemon by way of a script of /bin/sh that ends in `exec "$@"`; whether it is ready is for the caller to ask. */
export function startBy(lab: Lab, script: string, environment: Record<string, string> = {}): Started {
  return lab.start(['/bin/sh', '-euc', script, 'sh', process.execPath, program], {
    ...environmentOf(lab),
    ...environment,
  });
}

/** The first status that is so; asked until then, because the daemon may not even listen yet. */
export async function statusThat(
  lab: Lab,
  isSo: (status: Status) => boolean,
  within: number,
): Promise<{ status: Status; after: number }> {
  const started = performance.now();
  let last: Status | undefined;
  while (performance.now() - started < within) {
    last = await lab.status().catch(() => undefined);
    if (last !== undefined && isSo(last)) return { status: last, after: performance.now() - started };
    await sleep(20);
  }
  throw new Error(`no such status within ${within} ms: ${isSo}; the last was ${JSON.stringify(last)}`);
}
