// The server's name does not resolve at a bad moment, or the configuration changes meanwhile: what was known of the server holds,
// what the configuration says now is done, and nothing leaks past a link.
import t from 'tap';
import type { Profile } from '../../src/core/link/profile.ts';
import { Daemon } from '../../src/daemon/daemon.ts';
import { FakeKernel } from './fake-kernel.ts';
import { Disk, event, plug, profile, quiet, server } from './machine.ts';

const name = 'vpn.example.com';
const onUplink = [
  'inet 10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2',
  'inet default via 192.168.1.1 dev eth0 metric 100',
];
const onLink = [
  'inet 10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2',
  `inet ${server} via 192.168.1.1 dev eth0 proto 173`,
  'inet default dev ppp0 proto 173',
];

const dark = [`inet ${server} via 192.168.1.1 dev eth0 proto 173`, 'inet unreachable default proto 173'];
const onLinkOrDark = [...onLink, 'inet unreachable default proto 173 metric 1'];

function kernelWithUplink(): FakeKernel {
  const kernel = new FakeKernel();
  kernel.interfaces = [{ name: 'eth0', ifindex: 2, up: true }];
  kernel.add('default via 192.168.1.1 dev eth0 metric 100');
  return kernel;
}

/** A machine with one uplink; its names resolve to what stands in `answers`, when they do. */
async function machine(...profiles: readonly Profile[]) {
  return machineWith(profiles);
}

/** The same; undefined: its configuration cannot be read. */
async function machineWith(
  profiles: readonly Profile[] | undefined,
  { kernel = kernelWithUplink(), disk = new Disk() } = {},
) {
  const names = { answers: { [name]: server } as Record<string, string>, before: async () => {} };
  const daemon = new Daemon({
    kernel,
    store: disk,
    lookUp: async asked => {
      await names.before();
      return {
        servers: asked.flatMap(one => names.answers[one] ?? []),
        unresolved: asked.filter(one => names.answers[one] === undefined),
      };
    },
    journal: quiet,
    onStatus: () => undefined,
    bootId: 'boot',
    retryAfter: 3_600_000,
  });
  await daemon.start(async () => profiles);
  return { kernel, daemon, names };
}

const wish = { 'default-route': 'replace', server: name };

for (const onLoss of ['restore', 'block']) {
  t.test(`an event of a link that is up, while its name does not resolve: ${onLoss}`, async t => {
    const { kernel, daemon, names } = await machine(profile('work', { ...wish, 'on-loss': onLoss }));
    plug(kernel, 'ppp0');
    await daemon.handle(event('ip-up', 'ppp0'));
    const up = kernel.table();
    names.answers = {};
    for (const again of ['ipv6-up', 'ip-up'] as const) {
      t.match(await daemon.handle(event(again, 'ppp0')), { ok: true }, 'the default is where it should be');
      t.same(kernel.table(), up, again);
      t.match(daemon.snapshot(), { degraded: true, status: /no address for the server vpn\.example\.com/ });
    }
    names.answers = { [name]: '203.0.113.6' };
    await daemon.handle(event('ip-up', 'ppp0'));
    t.match(kernel.table().join('\n'), '203.0.113.6 via 192.168.1.1', 'another address, when there is one');
    t.notMatch(kernel.table().join('\n'), server);
    await daemon.close();
  });
}

t.test('one of two names does not resolve any more: both keep their pins', async t => {
  const both = profile('work', { ...wish, server: [name, 'other.example.com'] });
  const { kernel, daemon, names } = await machine(both);
  names.answers['other.example.com'] = '203.0.113.7';
  plug(kernel, 'ppp0');
  await daemon.handle(event('ip-up', 'ppp0'));
  const up = kernel.table();
  t.match(up.join('\n'), /203\.0\.113\.5 via[\s\S]*203\.0\.113\.7 via/);
  names.answers = { 'other.example.com': '203.0.113.7' };
  await daemon.handle(event('ip-up', 'ppp0'));
  t.same(kernel.table(), up);
  await daemon.close();
});

for (const onLoss of ['restore', 'block']) {
  t.test(`another key is edited while the name does not resolve: ${onLoss}`, async t => {
    const before = { ...wish, 'on-loss': onLoss };
    const { kernel, daemon, names } = await machine(profile('work', before));
    plug(kernel, 'ppp0');
    await daemon.handle(event('ip-up', 'ppp0'));
    const up = kernel.table();
    names.answers = {};
    await daemon.configure([profile('work', { ...before, networks: ['193.6.37.0/24'] })]);
    t.same(kernel.table(), [up[0], 'inet 193.6.37.0/24 dev ppp0 proto 173', ...up.slice(1)]);
    await daemon.configure([profile('work', { ...before, server: 'other.example.com' })]);
    t.notMatch(kernel.table().join('\n'), server, 'of another server nothing is known');
    await daemon.close();
  });
}

t.test(
  'the link is called again to another server, whose name does not resolve: not the pins of the one before',
  async t => {
    const { kernel, daemon, names } = await machine(profile('work', { ...wish, server: 'auto' }));
    const call = (peer: string) => event('ip-up', 'ppp0', { peerOptions: [`pty "pptp ${peer}"`] });
    plug(kernel, 'ppp0');
    await daemon.handle(call(name));
    t.same(kernel.table(), onLink);
    names.answers = {};
    t.match(await daemon.handle(call('other.example.com')), { ok: false, code: 'SERVER' });
    t.same(kernel.table(), onUplink);
    await daemon.close();
  },
);

const block = { ...wish, 'on-loss': 'block' };

t.test('dark, and the link returns while its name does not resolve: the address of before', async t => {
  const { kernel, daemon, names } = await machine(profile('work', block));
  plug(kernel, 'ppp0');
  await daemon.handle(event('ip-up', 'ppp0'));
  t.same(kernel.table(), onLinkOrDark);
  kernel.remove('ppp0');
  await daemon.reconcile();
  t.same(kernel.table(), dark);
  names.answers = {};
  plug(kernel, 'ppp0');
  t.match(await daemon.handle(event('ip-up', 'ppp0')), { ok: true });
  t.same(kernel.table(), onLinkOrDark);
  t.equal(daemon.snapshot().links.length, 1, 'the lost one is no more');
  await daemon.close();
});

t.test('… by another server that has no address: it stays dark until it has', async t => {
  const { kernel, daemon, names } = await machine(profile('work', { ...block, server: 'auto' }));
  const call = (peer: string) => event('ip-up', 'ppp0', { peerOptions: [`pty "pptp ${peer}"`] });
  plug(kernel, 'ppp0');
  await daemon.handle(call(name));
  names.answers = {};
  for (let redial = 0; redial < 3; redial++) {
    kernel.remove('ppp0');
    await daemon.reconcile();
    t.same(kernel.table(), dark, 'lost');
    plug(kernel, 'ppp0');
    t.match(await daemon.handle(call('other.example.com')), { ok: false, code: 'SERVER' });
    t.same(kernel.table(), [onUplink[0], ...dark], 'returned without a server');
    t.equal(daemon.snapshot().links.length, 2, 'no more are remembered');
  }
  names.answers = { 'other.example.com': '203.0.113.6' };
  await daemon.configure([profile('work', { ...block, server: 'auto', priority: 1 })]);
  t.same(
    kernel.table(),
    onLinkOrDark.map(line => line.replace(server, '203.0.113.6')),
  );
  t.equal(daemon.snapshot().links.length, 1, 'the lost one is no more');
  await daemon.close();
});

t.test(
  'dark, and the profile is given another server whose name does not resolve: it stays dark',
  async t => {
    const { kernel, daemon } = await machine(profile('work', block));
    plug(kernel, 'ppp0');
    await daemon.handle(event('ip-up', 'ppp0'));
    kernel.remove('ppp0');
    await daemon.reconcile();
    await daemon.configure([profile('work', { ...block, server: 'other.example.com' })]);
    t.same(kernel.table(), dark);
    await daemon.close();
  },
);

t.test('the configuration changes while a name is looked up for an event', async t => {
  const { kernel, daemon, names } = await machine(profile('work', wish));
  plug(kernel, 'ppp0');
  let isAsked: () => void = () => undefined;
  const asked = new Promise<void>(resolve => (isAsked = resolve));
  let give: () => void = () => undefined;
  names.before = () => {
    isAsked();
    return new Promise(resolve => (give = resolve));
  };
  const up = daemon.handle(event('ip-up', 'ppp0'));
  await asked;
  await daemon.configure([profile('work', { 'default-route': 'none', networks: ['193.6.37.0/24'], server })]);
  names.before = async () => {};
  names.answers[server] = server;
  give();
  t.match(await up, { ok: true });
  t.same(kernel.table(), [onUplink[0], 'inet 193.6.37.0/24 dev ppp0 proto 173', onUplink[1]]);
  await daemon.close();
});

t.test('the configuration changes while ip hangs, and an event waits', async t => {
  for (const isSlow of [true, false]) {
    const { kernel, daemon } = await machine(profile('work', wish));
    plug(kernel, 'ppp0');
    const observe = kernel.observe.bind(kernel);
    let go: () => void = () => undefined;
    if (isSlow)
      kernel.observe = async () => {
        kernel.observe = observe;
        await new Promise<void>(resolve => (go = resolve));
        return observe();
      };
    else kernel.isDeaf = true;
    const up = daemon.handle(event('ip-up', 'ppp0'));
    await new Promise(resolve => setTimeout(resolve, 10));
    const configured = daemon.configure([
      profile('work', { ...wish, 'default-route': 'none', server: 'none' }),
    ]);
    await new Promise(resolve => setTimeout(resolve, 10));
    kernel.isDeaf = false;
    go();
    await configured;
    await daemon.reconcile();
    t.match(await up, { ok: true });
    t.same(kernel.table(), onUplink, isSlow ? 'it was slow' : 'it could not be asked');
    await daemon.close();
  }
});

t.test('events of a link that is up while the configuration cannot be read take nothing off it', async t => {
  const disk = new Disk();
  const before = await machineWith([profile('work', wish)], { disk });
  const { kernel } = before;
  plug(kernel, 'ppp0');
  await before.daemon.handle(event('ip-up', 'ppp0'));
  await before.daemon.close();
  const { daemon } = await machineWith(undefined, { kernel, disk });
  const up = kernel.table();
  t.match(await daemon.handle(event('ip-up', 'ppp0')), { ok: true });
  t.same(kernel.table(), up);
  kernel.isDeaf = true;
  const told = daemon.handle(event('ipv6-up', 'ppp0'));
  await daemon.reconcile();
  await daemon.configure([profile('work', wish)]);
  kernel.isDeaf = false;
  await daemon.reconcile();
  t.match(await told, { ok: true });
  t.same(kernel.table(), up, 'the configuration was read while the event waited');
  await daemon.close();
});
