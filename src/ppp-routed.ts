import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { bootIdOf } from './boot-id.ts';
import { Configuration, ConfigurationError } from './configuration/configuration.ts';
import { watchConfiguration } from './configuration/configuration-watch.ts';
import { createControlSocket, type Request } from './control/control-socket.ts';
import { decodeEvent } from './core/link/event.ts';
import type { Profile } from './core/link/profile.ts';
import { messageIds } from './core/tell/message.ts';
import { reasonOf } from './core/tell/reason.ts';
import { Backoff } from './daemon/backoff.ts';
import { Daemon } from './daemon/daemon.ts';
import { directoriesOf } from './directories.ts';
import { createHookSocket } from './intake/hook-socket.ts';
import { Queue } from './intake/queue.ts';
import { Spool } from './intake/spool.ts';
import { Kernel } from './kernel/kernel.ts';
import { listenAt, type Place } from './listen.ts';
import { createLookUp } from './names/names.ts';
import { resolveAt, resolveHere } from './names/resolver.ts';
import { networkNamespace } from './network-namespace.ts';
import { StateDirectory } from './state/state-directory.ts';
import { activatedSockets } from './systemd/activation.ts';
import { createJournal } from './systemd/journal.ts';
import { createNotify } from './systemd/notify.ts';
import { askForTime } from './systemd/slow-start.ts';
import { keepWatchdogFed, watchdogTime } from './systemd/watchdog.ts';
import { version } from './version.ts';

process.umask(0o077);
// Without a PATH nothing is found, and pppd, cron and the like give none.
const environment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...process.env };
const directories = directoriesOf(environment);
const journal = createJournal(environment);
const notify = createNotify(environment);

/** What went wrong outside is tried again after so many milliseconds. */
const retryAfter = 5000;
let rereading: NodeJS.Timeout | undefined;
const configuration = new Configuration(directories.configuration);
let lastRead: readonly Profile[] | undefined;

const resolver = process.env.PPP_ROUTED_RESOLVER;
const kernel = new Kernel({
  environment,
  deadline: 2000,
  onHint: () => backoff.call(),
  onTrouble: message => daemon.report('monitor', message),
  onDrift: message => journal.notice({}, message),
});
const daemon = new Daemon({
  kernel,
  store: new StateDirectory(directories.state, { before: directories.stateBefore }),
  lookUp: createLookUp(resolver === undefined ? resolveHere : resolveAt(resolver)),
  journal,
  onStatus: line => notify(`STATUS=${line}`),
  bootId: bootIdOrEnd(),
  netns: networkNamespace(),
  retryAfter,
});
const spool = new Spool({
  directory: join(directories.runtime, 'spool'),
  onTrouble: message => journal.warn({ MESSAGE_ID: messageIds.spoolTrouble }, message),
});

const backoff = new Backoff({
  quickest: 10,
  slowest: 800,
  calmAfter: 10_000,
  run: async () => kernel.hasNews && daemon.reconcile(),
});
const queue = new Queue({
  spool,
  handle: (event, askHook) => daemon.handle(event, askHook),
  onWaiting: count =>
    journal.notice(
      { MESSAGE_ID: messageIds.eventsWaited },
      `applying ${count} event${count === 1 ? '' : 's'} that waited in the spool`,
    ),
});

const hookSocket = createHookSocket({
  patience: 1000,
  answerWithin: 3000,
  most: 1024,
  onEvent: async (event, ask) => {
    const reply = await queue.add(event, ask);
    // Who has the answer may look into the journal next.
    journal.flush();
    return reply;
  },
  onRefused: error =>
    journal.warn(
      { MESSAGE_ID: messageIds.eventRefused },
      `an event was refused, nothing was changed: ${error.code} ${error.message}`,
    ),
});

const controlSocket = createControlSocket(async (request: Request): Promise<unknown> => {
  const answer = await answerTo(request);
  journal.flush();
  return answer;
});

async function answerTo(request: Request): Promise<unknown> {
  switch (request.command) {
    case 'status':
      return daemon.snapshot();
    case 'observe':
      return { observed: await daemon.look(), ...daemon.snapshot() };
    case 'restore':
      return daemon.release();
    case 'reload':
      await reload();
      return daemon.snapshot();
    case 'plan':
      return daemon.rehearse(decodeEvent(Buffer.from(request.event)));
  }
}

/** Reads the configuration; one that cannot be used leaves the last good one in force. */
async function readConfiguration(expectation: { isExpected?: boolean } = {}) {
  clearTimeout(rereading);
  try {
    const profiles = await configuration.load(expectation);
    lastRead = profiles;
    daemon.report('configuration', undefined);
    return profiles;
  } catch (error) {
    lastRead = undefined;
    const faults = error instanceof ConfigurationError ? error.faults : [reasonOf(error)];
    daemon.report(
      'configuration',
      `the configuration is not used, the last good one stays in force: ${faults.join('; ')}`,
    );
    // Nobody tells when a file's mode or the disk below it is right again.
    rereading = setTimeout(() => void configure(), retryAfter).unref();
    return undefined;
  }
}

async function reload(): Promise<void> {
  notify('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  await configure();
  notify('READY=1');
}

async function configure(): Promise<void> {
  const profiles = await readConfiguration();
  if (profiles !== undefined) {
    await daemon.configure(profiles);
    journal.notice(
      { MESSAGE_ID: messageIds.configurationRead },
      `the configuration was read: ${profiles.length === 0 ? 'no profiles, so every link is left alone' : `profiles ${profiles.map(({ name }) => name).join(', ')}`}`,
    );
  }
}

/** It may have been edited before the watch began. Where it was not, nothing is done and nothing said. */
async function catchUp(): Promise<void> {
  const profiles = await configuration.load().catch(() => undefined);
  if (profiles === undefined || !isDeepStrictEqual(profiles, lastRead)) await reload();
}

let stopping = false;
/** Ends; routes stay as they are, so that a restart does not leak a tunnel's traffic. */
async function stop(signal: string): Promise<void> {
  if (stopping) return;
  stopping = true;
  notify('STOPPING=1', 'STATUS=stopping: routes stay as they are');
  journal.notice(
    { MESSAGE_ID: messageIds.stopping },
    `stopping on ${signal}; routes stay as they are (ppp-routectl restore puts the uplink back)`,
  );
  hookSocket.close();
  controlSocket.close();
  backoff.stop();
  await daemon.close();
  kernel.close();
  process.exit(0);
}

function placeOf(name: 'hook' | 'control', mode: number): Place {
  const fd = activatedSockets(environment, process.pid).get(name);
  return fd === undefined ? { path: join(directories.runtime, `${name}.sock`), mode } : { fd };
}

/** systemd gives no arguments, and what reads them need not be loaded then. Whoever gives some gets an answer, and no daemon. */
async function answerArguments(): Promise<void> {
  const { Command } = await import('commander');
  new Command('ppp-routed')
    .description(
      'Decides where traffic goes when pppd brings a PPP link up or down. Started by systemd; see ppp-routectl for a look at it.',
    )
    .version(version)
    .allowExcessArguments(false)
    .parse();
}

async function main(): Promise<void> {
  if (process.argv.length > 2) await answerArguments();
  notify('STATUS=starting: nothing has been looked at yet');
  const enoughTime = askForTime(notify);
  await mkdir(directories.runtime, { recursive: true, mode: 0o750 });
  await spool.prepare();
  kernel.listen();
  await daemon.start(links =>
    readConfiguration({ isExpected: links.some(({ profile }) => profile !== undefined) }),
  );
  // Before the spool is looked at: as long as nobody listens, hooks fill it as fast as it is drained.
  await listenAt(hookSocket, placeOf('hook', 0o600));
  await listenAt(controlSocket, placeOf('control', 0o660));
  // Where ip cannot be asked no event is done with: the start goes on, and the status says why.
  const enough = sleep(3000);
  await Promise.race([queue.drain(), enough]);
  spool.watch(() => void queue.drain());
  void watchConfiguration(directories.configuration, {
    onChange: () => void reload(),
    onWatching: () => void catchUp(),
  });
  // What was spooled between the first look and the watch.
  await Promise.race([queue.drain(), enough]);
  enoughTime();
  journal.notice({ MESSAGE_ID: messageIds.ready }, `ready: ${daemon.snapshot().status}`);
  journal.flush();
  notify('READY=1', `STATUS=${daemon.snapshot().status}`);
  keepWatchdogFed(watchdogTime(environment, process.pid), { notify, look: () => daemon.check() });
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal));
process.on('SIGHUP', () => void reload());
main().catch(endStart);

function bootIdOrEnd(): string {
  try {
    return bootIdOf(environment);
  } catch (error) {
    return endStart(error);
  }
}

function endStart(error: unknown): never {
  journal.fatal({ MESSAGE_ID: messageIds.cannotStart }, `cannot start: ${reasonOf(error)}`);
  kernel.close();
  process.exit(1);
}
