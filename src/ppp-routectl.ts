import { statSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { BootIdError, bootIdOf } from './boot-id.ts';
import { CommandError, exitStatus } from './cli/command-error.ts';
import type { Call } from './cli/plan.ts';
import type { RestoreRoom } from './cli/restore.ts';
import type { StatusOptions } from './cli/status.ts';
import { createTerminal } from './cli/terminal.ts';
import type { WorkstationsOptions, WorkstationsRoom } from './cli/workstations.ts';
import { ask, ControlError, type ControlFault } from './control/control-client.ts';
import { eventNames } from './core/link/event.ts';
import type { Sight } from './core/tell/snapshot.ts';
import { directoriesOf } from './directories.ts';
import { version } from './version.ts';

// Without a PATH `ip` is not found, and cron and the like give none.
const environment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...process.env };
const directories = directoriesOf(environment);
const controlPath = join(directories.runtime, 'control.sock');
const isRoot = process.geteuid?.() === 0;
/** What `restore` runs as the owner of the state; its answer goes to descriptor 3. */
const restoreHereCommand = 'restore-here';

const room: RestoreRoom & WorkstationsRoom & { resolve(name: string): Promise<string[]> } = {
  terminal: createTerminal(process.stdout, environment),
  ask: async request => {
    try {
      return await ask({ path: controlPath, patience: 5000 }, request);
    } catch (error) {
      throw error instanceof ControlError ? commandErrorOf(error) : error;
    }
  },
  resolve: async name => {
    const { lookup } = await import('node:dns/promises');
    const found = await lookup(name, { all: true }).catch(() => []);
    return found.map(({ address }) => address);
  },
  forwards: async dev => {
    const setting = await readFile(`/proc/sys/net/ipv4/conf/${dev}/forwarding`, 'utf8').catch(
      () => undefined,
    );
    return setting === undefined ? undefined : setting.trim() !== '0';
  },
  restoreOffline,
};

async function restoreOffline(): Promise<Sight> {
  if (!isRoot) {
    throw new CommandError(
      'absent',
      `no ppp-routed answers at ${controlPath}, and without it only root can change routes`,
      'Run: sudo ppp-routectl restore',
    );
  }
  const bootId = readBootId();
  const owner = statSync(directories.state, { throwIfNoEntry: false });
  if (owner === undefined || owner.uid === 0) return restoreHere(bootId);
  const [{ runAsOwner }, { readAnswer }, { SightSchema }] = await Promise.all([
    import('./cli/owner.ts'),
    import('./cli/room.ts'),
    import('./core/tell/snapshot.ts'),
  ]);
  const variables = { ...environment, PPP_ROUTED_BOOT_ID: bootId };
  const answer = runAsOwner({ owner, argv: [restoreHereCommand], environment: variables });
  return answer === undefined ? restoreHere(bootId) : readAnswer(SightSchema, JSON.parse(answer));
}

/** The daemon and `ip` are big: they are loaded only where there is nobody to do it. */
async function restoreHere(bootId: string): Promise<Sight> {
  const [offline, { Kernel }, { StateDirectory }] = await Promise.all([
    import('./cli/offline.ts'),
    import('./kernel/kernel.ts'),
    import('./state/state-directory.ts'),
  ]);
  const kernel = new Kernel({
    environment,
    deadline: 2000,
    onHint: () => undefined,
    onTrouble: () => undefined,
  });
  try {
    const store = new StateDirectory(directories.state);
    return await offline.restoreOffline({ kernel, store, bootId, print: room.terminal.print });
  } finally {
    kernel.close();
  }
}

function readBootId(): string {
  try {
    return bootIdOf(environment);
  } catch (error) {
    if (!(error instanceof BootIdError)) throw error;
    throw new CommandError('trouble', error.message, 'Nothing was changed');
  }
}

/** What the person who typed the command is told, and can do. */
const faults: Record<ControlFault, [code: CommandError['code'], advice: string]> = {
  absent: ['absent', 'Start it: systemctl start ppp-routed'],
  denied: ['denied', 'Use sudo, or have root put you into the group ppp-routed'],
  late: ['trouble', 'It hangs. Restart it, routes stay: systemctl restart ppp-routed'],
  broken: ['trouble', 'See what it says: journalctl -u ppp-routed'],
  refused: ['trouble', 'See: journalctl -u ppp-routed'],
};

function commandErrorOf(error: ControlError): CommandError {
  const [code, advice] = faults[error.code];
  const { message } = error;
  return new CommandError(
    code,
    error.code === 'refused' ? `ppp-routed could not do it: ${message}` : message,
    advice,
  );
}

const program = new Command('ppp-routectl')
  .description('Shows and steers what ppp-routed does with the routes of PPP links.')
  .version(version)
  .exitOverride()
  .allowExcessArguments(false)
  .addHelpText(
    'after',
    '\nExit status: 0 fine, 1 trouble found, 2 usage, 3 no daemon, or no leave to ask it.',
  );

type PlanOptions = Pick<Call, 'linkname' | 'peername' | 'call' | 'pid'> & {
  peerOption?: string[];
  json?: boolean;
};

const json = ['--json', 'for programs'] as const;
/** What only one command needs is loaded by that command. */
const run = async (result: Promise<number>) => {
  process.exitCode = await result;
};

program
  .command('status')
  .description('what holds now: the links, what is saved, what is wrong')
  .option(...json)
  .option('-w, --watch', 'print it anew whenever it changes')
  .action((options: StatusOptions) =>
    run(import('./cli/status.ts').then(({ status }) => status(room, options))),
  );
program
  .command('routes')
  .description('the route tables, each line with what it means')
  .option(...json)
  .action((options: { json?: boolean }) =>
    run(import('./cli/routes.ts').then(({ routes }) => routes(room, options))),
  );
program
  .command('explain')
  .description('which route carries an address, and why')
  .argument('<address>', 'an address, or a host name: then each of its addresses')
  .option(...json)
  .action((destination: string, options: { json?: boolean }) =>
    run(import('./cli/explain.ts').then(({ explain }) => explain(room, { destination, ...options }))),
  );
program
  .command('plan')
  .description('what an event would do: the commands and the table; nothing is changed')
  .argument('<event>', eventNames.join(', '))
  .argument('<interface>', 'then what pppd gives its scripts, in its order; "" for what there is not')
  .argument('[tty]')
  .argument('[speed]')
  .argument('[local]')
  .argument('[remote]')
  .argument('[ipparam]')
  .option('--linkname <name>', "LINKNAME of pppd's environment")
  .option('--peername <name>', 'PEERNAME')
  .option('--call <file>', 'CALL_FILE, the name of the peers file')
  .option('--pid <number>', 'PPPD_PID')
  .option('--peer-option <line...>', 'a line of the peers file that names the server')
  .option(...json)
  .action(
    (
      event: string,
      name: string,
      tty: string | undefined,
      speed: string | undefined,
      local: string | undefined,
      remote: string | undefined,
      ipparam: string | undefined,
      { peerOption, ...options }: PlanOptions,
    ) =>
      run(
        import('./cli/plan.ts').then(({ plan }) =>
          plan(room, {
            ...{ event, interface: name, tty, speed, local, remote, ipparam },
            ...options,
            'peer-option': peerOption,
          }),
        ),
      ),
  );
program
  .command('workstations')
  .description('the routes that hosts on both sides of a link need, in every spelling')
  .argument('<link>', 'an interface or the name of a profile')
  .option('--gateway <address>', "the far gateway's address on its own LAN")
  .option('--lan <interface>', 'only the hosts on this LAN')
  .option(...json)
  .action((link: string, options: WorkstationsOptions) =>
    run(import('./cli/workstations.ts').then(({ workstations }) => workstations(room, { link, ...options }))),
  );
program
  .command('restore')
  .description('put the uplink back now, also without a daemon')
  .action(() => run(import('./cli/restore.ts').then(({ restore }) => restore(room))));
program
  .command(restoreHereCommand, { hidden: true })
  .action(async () => writeFileSync(3, JSON.stringify(await restoreHere(readBootId()))));
program
  .command('reload')
  .description('read the configuration now')
  .action(() => run(import('./cli/reload.ts').then(({ reload }) => reload(room))));

// `ppp-routectl routes | head` is no fault.
process.stdout.on('error', () => process.exit());
process.on('SIGINT', () => process.exit());

async function main(): Promise<void> {
  try {
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError)
      process.exitCode = error.exitCode === 0 ? exitStatus.fine : exitStatus.usage;
    else if (error instanceof CommandError) {
      console.error(`ppp-routectl: ${error.message}\n  ${error.advice}`);
      process.exitCode = error.exitStatus;
    } else throw error;
  }
}

void main();
