// `ppp-routectl restore` is the last word, until a link comes up anew.
import t from 'tap';
import { Daemon } from '../../src/daemon/daemon.ts';
import { FakeKernel } from './fake-kernel.ts';
import { Disk, event, plug, profile, quiet, server } from './machine.ts';

const wish = profile('work', { 'default-route': 'replace', server: 'vpn.example.com' });

async function machine() {
  const kernel = new FakeKernel();
  kernel.interfaces = [{ name: 'eth0', ifindex: 2, up: true }];
  kernel.add('default via 192.168.1.1 dev eth0 metric 100');
  const slow = { lookup: async () => {} };
  const daemon = new Daemon({
    kernel,
    store: new Disk(),
    lookUp: async () => {
      await slow.lookup();
      return { servers: [server], unresolved: [] };
    },
    journal: quiet,
    onStatus: () => undefined,
    bootId: 'boot',
    retryAfter: 3_600_000,
  });
  await daemon.start(async () => [wish]);
  plug(kernel, 'ppp0');
  return { kernel, daemon, slow, isOnUplink: () => !kernel.table().join('\n').includes(' proto 173') };
}

t.test('an event that waited for ip at the restore is not taken up after it', async t => {
  const { kernel, daemon, isOnUplink } = await machine();
  kernel.isDeaf = true;
  const up = daemon.handle(event('ip-up', 'ppp0'));
  await daemon.reconcile();
  await daemon.release();
  kernel.isDeaf = false;
  await daemon.reconcile();
  t.match(await up, { ok: true });
  t.ok(isOnUplink(), kernel.table().join('\n'));
  t.match(daemon.snapshot().links, [{ interface: 'ppp0', released: true }]);
  await daemon.handle(event('ip-up', 'ppp0'));
  t.notOk(isOnUplink(), 'it is told anew');
  await daemon.close();
});

t.test('… nor one whose name was looked up', async t => {
  const { kernel, daemon, slow, isOnUplink } = await machine();
  let give: () => void = () => undefined;
  slow.lookup = () => new Promise(resolve => (give = resolve));
  const up = daemon.handle(event('ip-up', 'ppp0'));
  await new Promise(resolve => setTimeout(resolve, 10));
  await daemon.release();
  give();
  t.match(await up, { ok: true });
  t.ok(isOnUplink(), kernel.table().join('\n'));
  await daemon.close();
});

t.test('IPv6 that comes later, or again, does not take a link up that was let go', async t => {
  const { kernel, daemon, isOnUplink } = await machine();
  await daemon.handle(event('ip-up', 'ppp0'));
  t.notOk(isOnUplink());
  await daemon.release();
  t.ok(isOnUplink());
  for (let time = 0; time < 2; time++) {
    t.match(await daemon.handle(event('ipv6-up', 'ppp0')), { ok: true });
    t.ok(isOnUplink(), kernel.table().join('\n'));
  }
  t.match(daemon.snapshot().links, [{ interface: 'ppp0', released: true, inet: {}, inet6: {} }]);
  await daemon.handle(event('ip-up', 'ppp0'));
  t.notOk(isOnUplink(), 'ip-up is told anew');
  await daemon.close();
});

t.test('a link of IPv6 alone comes up anew with ipv6-up', async t => {
  const { daemon } = await machine();
  await daemon.handle(event('ipv6-up', 'ppp0'));
  await daemon.release();
  t.match(daemon.snapshot().links, [{ released: true }]);
  await daemon.handle(event('ipv6-up', 'ppp0'));
  t.notMatch(daemon.snapshot().links, [{ released: true }]);
  await daemon.close();
});
