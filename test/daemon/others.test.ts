// Links that no profile matches: known, saved and shown, and in no decision.
import t from 'tap';
import type { Profile } from '../../src/core/link/profile.ts';
import { Daemon } from '../../src/daemon/daemon.ts';
import { FakeKernel } from './fake-kernel.ts';
import { Disk, event, noNames, plug, profile, quiet, server } from './machine.ts';

const work = profile('work', { 'default-route': 'replace' });

async function machine() {
  const kernel = new FakeKernel();
  kernel.interfaces = [{ name: 'eth0', ifindex: 2, up: true }];
  kernel.add('default via 192.168.1.1 dev eth0 metric 100');
  const disk = new Disk();
  const said: string[] = [];
  const start = async (profiles: readonly Profile[]) => {
    const daemon = new Daemon({
      kernel,
      store: disk,
      lookUp: noNames,
      journal: { ...quiet, info: (_, text) => said.push(text) },
      onStatus: () => undefined,
      bootId: 'boot',
      retryAfter: 3_600_000,
    });
    await daemon.start(async () => profiles);
    return daemon;
  };
  return { kernel, disk, said, start };
}

t.test('it is saved and shown; a restart knows it; its end is noticed', async t => {
  const { kernel, disk, said, start } = await machine();
  const first = await start([work]);
  plug(kernel, 'ppp0');
  const commands: string[] = [];
  kernel.beforeChange = command => commands.push(command);
  const { interfaces } = kernel;
  const told = event('ip-up', 'ppp0', { ipparam: 'other' });
  t.match(await first.handle(told), { ok: true, text: /ppp0/ });
  const known = { interface: 'ppp0', ifindex: interfaces[1]?.ifindex, says: 'unmanaged: ppp0 left alone' };
  t.match(first.snapshot(), { degraded: false, links: [known] });
  t.match(disk.state.links, [{ interface: 'ppp0' }]);
  await first.close();

  const second = await start([work]);
  t.match(second.snapshot().links, [known]);
  t.match(await second.handle(told), { ok: true });
  t.equal(second.snapshot().links.length, 1, 'once');
  kernel.remove('ppp0');
  await second.reconcile();
  t.same(second.snapshot().links, []);
  t.same(disk.state.links, [], 'nothing is left in the store');
  t.equal(said.filter(text => text.includes('ppp0 is gone')).length, 1);
  t.same(commands, [], 'no route was touched');
  await second.close();
});

t.test('its end while an event is taken in is noticed when nobody waits', async t => {
  const { kernel, disk, start } = await machine();
  const daemon = await start([work]);
  plug(kernel, 'ppp0');
  await daemon.handle(event('ip-up', 'ppp0', { ipparam: 'other' }));
  kernel.remove('ppp0');
  plug(kernel, 'ppp1');
  await daemon.handle(event('ip-up', 'ppp1', { ipparam: 'other' }));
  while (daemon.snapshot().links.length > 1) await new Promise(setImmediate);
  t.match(daemon.snapshot().links, [{ interface: 'ppp1' }]);
  t.match(disk.state.links, [{ interface: 'ppp1' }]);
  t.equal(disk.state.links.length, 1);
  await daemon.close();
});

t.test('what leads through it is an uplink; nobody looks for its server', async t => {
  const { kernel, start } = await machine();
  const daemon = await start([work]);
  plug(kernel, 'ppp0');
  kernel.add('default dev ppp0 metric 50');
  await daemon.handle(event('ip-up', 'ppp0', { ipparam: 'other' }));
  plug(kernel, 'ppp1');
  await daemon.handle(event('ip-up', 'ppp1'));
  t.match(daemon.snapshot().savedDefaults, [
    { route: 'default dev ppp0 metric 50' },
    { route: 'default via 192.168.1.1 dev eth0 metric 100' },
  ]);
  t.match(kernel.table().join('\n'), `${server} dev ppp0 proto 173`, 'the pin goes over it');
  await daemon.close();
});

t.test('a configuration that matches it manages it at once, and back', async t => {
  const { kernel, disk, start } = await machine();
  const daemon = await start([]);
  plug(kernel, 'ppp0');
  await daemon.handle(event('ip-up', 'ppp0'));
  const before = kernel.table();
  for (let time = 0; time < 2; time++) {
    await daemon.configure([work]);
    t.match(kernel.table(), [/10\.99/, /203\.0\.113\.5 via 192/, /^inet default dev ppp0 proto 173/]);
    t.match(daemon.snapshot(), { status: /^work: ppp0 up, default via ppp0/, savedDefaults: [{}] });
    t.match(disk.state.links, [{ profile: { name: 'work' } }]);
    await daemon.configure([]);
    t.same(kernel.table(), before);
    t.match(daemon.snapshot(), { links: [{ says: 'unmanaged: ppp0 left alone' }], savedDefaults: [] });
    t.match(disk.state.links, [{ profile: undefined }]);
  }
  t.equal(disk.state.links.length, 1);
  await daemon.close();
});
