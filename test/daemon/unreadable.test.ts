// While a file of the state cannot be read, nothing of ours is removed and no default restored.
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import t from 'tap';
import type { Link } from '../../src/core/link/link.ts';
import type { Profile } from '../../src/core/link/profile.ts';
import { emptyState } from '../../src/core/link/state.ts';
import { Daemon } from '../../src/daemon/daemon.ts';
import type { LookUp } from '../../src/daemon/rooms.ts';
import { SavedState } from '../../src/daemon/saved-state.ts';
import { seed } from '../form.ts';
import { FakeKernel } from './fake-kernel.ts';
import { Disk, event, noNames, plug, profile, quiet } from './machine.ts';

const replace = profile('work', { 'default-route': 'replace' });
const dark = profile('work', { 'default-route': 'replace', 'on-loss': 'block' });
const link = { interface: 'ppp0', ifindex: 7, inet: {}, peerOptions: [], servers: [] };
const uplink = 'default via 192.168.1.1 dev eth0 metric 100';

/** A machine with an uplink, and the daemons that run on it one after the other. */
class Machine {
  readonly kernel = new FakeKernel();
  readonly disk = new Disk();
  daemon: Daemon | undefined;

  constructor() {
    this.kernel.interfaces = [{ name: 'eth0', ifindex: 2, up: true }];
    this.kernel.add(uplink);
  }

  async start(profiles: readonly Profile[], lookUp: LookUp = noNames): Promise<Daemon> {
    await this.daemon?.close();
    const { kernel, disk } = this;
    this.daemon = new Daemon({
      ...{ kernel, store: disk, lookUp, journal: quiet, bootId: 'boot', retryAfter: 2 },
      onStatus: () => undefined,
    });
    await this.daemon.start(async () => profiles);
    return this.daemon;
  }

  /** What is done to the kernel from now on. */
  commands(): string[] {
    const commands: string[] = [];
    this.kernel.beforeChange = command => commands.push(command);
    return commands;
  }
}

async function until(isSo: () => boolean): Promise<void> {
  for (let time = 0; !isSo(); time++) {
    if (time > 1000) throw new Error(`never so: ${isSo}`);
    await sleep(2);
  }
}

const happening = fc.record({
  what: fc.constantFrom('ip-up' as const, 'ip-down' as const, 'vanish' as const, 'look' as const),
  on: fc.constantFrom('ppp0', 'ppp1'),
});

async function happen(machine: Machine, { what, on }: { what: string; on: string }): Promise<void> {
  const { kernel, daemon } = machine;
  if (what === 'vanish') kernel.remove(on);
  if (what === 'ip-up' && !kernel.interfaces.some(({ name }) => name === on)) plug(kernel, on);
  if (what === 'ip-up' || what === 'ip-down') await daemon?.handle(event(what, on));
  else await daemon?.reconcile();
}

t.test(
  'whatever happens: nothing of ours goes, nothing is restored, and all is put right after it',
  async t => {
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(happening, { maxLength: 4 }),
        fc.array(happening, { maxLength: 5 }),
        fc.constantFrom('links' as const, 'defaults' as const),
        fc.constantFrom('repair', 'restore'),
        async (before, during, which, end) => {
          const machine = new Machine();
          const { kernel, disk } = machine;
          const table = kernel.table();
          await machine.start([replace]);
          for (const one of [{ what: 'ip-up', on: 'ppp0' }, ...before]) await happen(machine, one);
          disk.damage(which);
          const daemon = await machine.start([replace]);
          let broken = '';
          kernel.beforeChange = command => {
            if (disk.unreadable.length === 0) return;
            if (/^route del .* proto 173/.test(command) || command.includes(`append ${uplink}`))
              broken ||= `while ${disk.unreadable[0]?.path} cannot be read: ${command}`;
          };
          for (const one of during) await happen(machine, one);
          if (end === 'repair') disk.repair();
          else await daemon.release();
          await until(() => disk.unreadable.length === 0);
          await daemon.reconcile();
          for (const on of ['ppp0', 'ppp1']) await happen(machine, { what: 'vanish', on });
          await daemon.close();
          // What was in a file that was set aside is lost: the saved default, if it was displaced then.
          const isLost = which === 'defaults' && end === 'restore' && kernel.table().length === 0;
          if (!isLost && kernel.table().join('\n') !== table.join('\n'))
            throw new Error(`the table is\n${kernel.table().join('\n')}`);
          if (broken !== '') throw new Error(broken);
          runs++;
        },
      ),
      { numRuns: 150, seed },
    );
    t.ok(runs > 0);
  },
);

t.test('a lost link that must stay dark: known again, and dark all the time', async t => {
  const machine = new Machine();
  const { kernel, disk } = machine;
  await machine.start([dark]);
  await happen(machine, { what: 'ip-up', on: 'ppp0' });
  await happen(machine, { what: 'vanish', on: 'ppp0' });
  const routes = kernel.table();
  t.match(routes.join('\n'), 'unreachable default proto 173');
  disk.damage('links');
  const commands = machine.commands();
  const daemon = await machine.start([dark]);
  await daemon.reconcile();
  t.match(daemon.snapshot(), {
    degraded: true,
    status:
      /^degraded: \/state\/\d+ lost \d+ is damaged: no route of ours .*; ppp-routectl restore sets it aside/,
  });
  disk.repair();
  await until(() => daemon.snapshot().links.length === 1);
  t.same(commands, [], 'no route moves');
  t.same(kernel.table(), routes);
  t.match(daemon.snapshot(), { degraded: false, links: [{ lost: true }] });
  await daemon.close();
});

t.test('a lost link of which another came up meanwhile is over, and not in the store', async t => {
  const machine = new Machine();
  const { disk } = machine;
  await machine.start([dark]);
  await happen(machine, { what: 'ip-up', on: 'ppp0' });
  await happen(machine, { what: 'vanish', on: 'ppp0' });
  disk.damage('links');
  const daemon = await machine.start([dark]);
  await happen(machine, { what: 'ip-up', on: 'ppp1' });
  disk.repair();
  await until(() => disk.unreadable.length === 0);
  await daemon.reconcile();
  t.match(daemon.snapshot().links, [{ interface: 'ppp1', lost: undefined }]);
  t.match(disk.state.links, [{ interface: 'ppp1', lost: undefined }]);
  await daemon.close();
});

t.test('an interface that was lost twice: each loss has a file, which goes with it', async t => {
  const disk = new Disk();
  const saved = new SavedState(disk, emptyState('boot'));
  const lost = (order: number): Link => ({ ...link, profile: dark, order, lost: true });
  const [first, second] = [lost(1), lost(2)];
  const save = (links: Link[]) => saved.save({ ...emptyState('boot'), links }, { forgets: true });
  save([first]);
  save([second]);
  t.match(disk.state.links, [{ order: 2 }]);
  t.equal(disk.state.links.length, 1);
});

t.test('a loss, and the link comes up again have a file each, and each goes with its loss', async t => {
  const machine = new Machine();
  const { kernel, disk } = machine;
  const daemon = await machine.start([dark]);
  await happen(machine, { what: 'ip-up', on: 'ppp0' });
  // The interface stays, and so does its index.
  await daemon.handle(event('ip-down', 'ppp0'));
  t.match(disk.state.links, [{ lost: true }]);
  await daemon.handle(event('ip-up', 'ppp0'));
  await daemon.handle(event('ip-down', 'ppp0'));
  t.match(kernel.table().join('\n'), 'unreachable default');
  t.match(disk.state.links, [{ lost: true }]);
  t.equal(disk.state.links.length, 1);
  await daemon.handle(event('ip-up', 'ppp0'));
  t.match(disk.state.links, [{ lost: undefined }]);
  t.equal(disk.state.links.length, 1);
  await daemon.close();
});

t.test('a link that is read again takes the profile of now, and its server is looked for', async t => {
  const machine = new Machine();
  const { kernel, disk } = machine;
  await machine.start([replace]);
  await happen(machine, { what: 'ip-up', on: 'ppp0' });
  disk.damage('links');
  const asked: string[] = [];
  const named = profile('work', { 'default-route': 'replace', server: 'vpn.example' });
  const daemon = await machine.start([named], async names => {
    asked.push(...names);
    return { servers: ['203.0.113.7'], unresolved: [] };
  });
  disk.repair();
  await until(() => kernel.table().some(line => line.includes('203.0.113.7 ')));
  t.same(asked, ['vpn.example']);
  t.match(daemon.snapshot(), { degraded: false, links: [{ servers: ['203.0.113.7'] }] });
  await happen(machine, { what: 'ip-up', on: 'ppp1' });
  const [first, second] = daemon.snapshot().links;
  t.ok((first?.order ?? 0) < (second?.order ?? 0), 'what comes up later is the newer one');
  await daemon.close();
});

t.test('the saved default is lost: the pin of the server stays until an uplink leads to it', async t => {
  const machine = new Machine();
  const { kernel, disk } = machine;
  await machine.start([replace]);
  await happen(machine, { what: 'ip-up', on: 'ppp0' });
  const routes = kernel.table();
  await machine.daemon?.close();
  disk.saveDefaults([]);
  const daemon = await machine.start([replace]);
  for (let time = 0; time < 2; time++) {
    t.same(kernel.table(), routes);
    t.match(daemon.snapshot(), { degraded: true, status: /no uplink leads to 203\.0\.113\.5/ });
    await daemon.reconcile();
  }
  kernel.add(uplink);
  await daemon.reconcile();
  t.same(kernel.table(), routes);
  t.match(daemon.snapshot(), { degraded: false, savedDefaults: [{ route: uplink }] });
  await happen(machine, { what: 'vanish', on: 'ppp0' });
  t.same(kernel.table(), [`inet ${uplink}`]);
  await daemon.close();
});

t.test('our default stays where no other is, also when all was set aside', async t => {
  const machine = new Machine();
  const { kernel, disk } = machine;
  await machine.start([replace]);
  await happen(machine, { what: 'ip-up', on: 'ppp0' });
  const routes = kernel.table();
  for (const which of ['links', 'defaults'] as const) disk.damage(which);
  const daemon = await machine.start([replace]);
  // There was another way out for a moment: what is of no link is not known for that.
  kernel.add(uplink);
  await daemon.reconcile();
  kernel.run(`route del ${uplink}`, 'inet');
  await daemon.release();
  t.same(kernel.table(), routes);
  t.match(daemon.snapshot(), { degraded: true, status: /nothing else leads out/ });
  await daemon.close();
});
