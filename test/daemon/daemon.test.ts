import fc from 'fast-check';
import t from 'tap';
import type { LinkEvent } from '../../src/core/link/event.ts';
import type { Profile } from '../../src/core/link/profile.ts';
import { parsePrefix } from '../../src/core/route/prefix.ts';
import { isOwn } from '../../src/core/route/route.ts';
import { RouteIndex } from '../../src/core/route/route-index.ts';
import { Daemon } from '../../src/daemon/daemon.ts';
import type { Reply } from '../../src/daemon/reply.ts';
import type { Sentences } from '../../src/daemon/rooms.ts';
import { countOf, seed } from '../form.ts';
import { Deaf, FakeKernel } from './fake-kernel.ts';
import { Disk, event, noNames, plug, profile, quiet, server } from './machine.ts';

const runs = countOf({ short: 200, whole: 1000 });

class Crash extends Error {}

async function daemonOn(
  kernel: FakeKernel,
  disk: Disk,
  profiles: readonly Profile[],
  journal: Sentences = quiet,
): Promise<Daemon> {
  const daemon = new Daemon({
    kernel,
    store: disk,
    lookUp: noNames,
    journal,
    onStatus: () => undefined,
    bootId: 'boot',
    retryAfter: 3_600_000,
  });
  await daemon.start(async () => profiles);
  return daemon;
}

const uplinks = ['eth0', 'wlan0', 'usb0'];

/** A machine with uplinks and a table of anything: defaults of one metric, LANs, hosts, a better route to the server. */
const machine = fc
  .array(
    fc.record({
      dst: fc.constantFrom(
        'default',
        'default',
        'default',
        '10.0.0.0/8',
        '192.168.1.0/24',
        '203.0.113.0/24',
        server,
        '8.8.8.8',
      ),
      dev: fc.constantFrom(...uplinks),
      via: fc.constantFrom('via 192.168.1.1 ', 'via 172.16.0.1 ', ''),
      proto: fc.constantFrom('', ' proto dhcp', ' proto static'),
      metric: fc.constantFrom('', ' metric 100', ' metric 302', ' metric 600'),
      rest: fc.constantFrom('', ' mtu lock 1400', ' advmss 1360 initcwnd 10'),
    }),
    { maxLength: 8 },
  )
  .map(routes => {
    const kernel = new FakeKernel();
    kernel.interfaces = uplinks.map((name, i) => ({ name, ifindex: i + 2, up: true }));
    for (const { dst, dev, via, proto, metric, rest } of routes)
      kernel.add(`${dst} ${via}dev ${dev}${proto}${metric}${rest}`);
    return kernel;
  });

const settings = fc.record({
  'default-route': fc.constantFrom('replace', 'metric', 'half', 'none'),
  priority: fc.integer({ min: 0, max: 2 }),
});

t.test('up and down on any table leaves it as it was, in its order, whatever the mode', async () => {
  await fc.assert(
    fc.asyncProperty(machine, settings, async (kernel, wish) => {
      const before = kernel.table();
      const daemon = await daemonOn(kernel, new Disk(), [profile('work', wish)]);
      plug(kernel, 'ppp0');
      const up = await daemon.handle(event('ip-up', 'ppp0'));
      fc.pre(up.ok);
      const down = await daemon.handle(event('ip-down', 'ppp0'));
      kernel.remove('ppp0');
      await daemon.reconcile();
      await daemon.close();
      return down.ok && sameTexts(kernel.table(), before);
    }),
    { numRuns: runs * 10, seed },
  );
});

t.test('while it is up, everything goes over the link and the server over the uplink', async () => {
  await fc.assert(
    fc.asyncProperty(machine, fc.constantFrom('replace', 'metric', 'half'), async (kernel, mode) => {
      const uplink = new RouteIndex(kernel.routes).longestMatch(at(server));
      const elsewhere = new RouteIndex(kernel.routes).longestMatch(at('198.51.100.77'));
      const daemon = await daemonOn(kernel, new Disk(), [profile('work', { 'default-route': mode })]);
      plug(kernel, 'ppp0');
      await daemon.handle(event('ip-up', 'ppp0'));
      await daemon.close();
      const toServer = new RouteIndex(kernel.routes).longestMatch(at(server));
      const toElsewhere = new RouteIndex(kernel.routes).longestMatch(at('198.51.100.77'));
      const carried = toElsewhere?.nexthops[0]?.dev === 'ppp0';
      const kept = uplink === undefined || toServer?.nexthops[0]?.dev === uplink.nexthops[0]?.dev;
      return carried && kept && (elsewhere === undefined || elsewhere.dst === 'default');
    }),
    { numRuns: runs, seed },
  );
});

t.test(
  'no route of others is changed, but a default that is saved; and there is always a default',
  async () => {
    await fc.assert(
      fc.asyncProperty(machine, settings, async (kernel, wish) => {
        const disk = new Disk();
        const daemon = await daemonOn(kernel, disk, [profile('work', wish)]);
        const hadDefault = kernel.routes.some(({ dst }) => dst === 'default');
        let broken = '';
        kernel.beforeChange = command => {
          if (hadDefault && !kernel.routes.some(({ dst }) => dst === 'default'))
            broken ||= `no default before ${command}`;
          const line = /^route del (.*)$/.exec(command)?.[1];
          if (line === undefined || / proto 173/.test(line)) return;
          if (!disk.state.savedDefaults.some(({ route }) => route === line))
            broken ||= `not saved: ${command}`;
        };
        plug(kernel, 'ppp0');
        await daemon.handle(event('ip-up', 'ppp0'));
        await daemon.handle(event('ip-down', 'ppp0'));
        await daemon.close();
        if (broken !== '') throw new Error(broken);
      }),
      { numRuns: runs, seed },
    );
  },
);

t.test('killed at any boundary and started again, it ends where it would have ended', async () => {
  await fc.assert(
    fc.asyncProperty(
      machine,
      settings,
      fc.nat(12),
      fc.constantFrom('ip-up', 'ip-down', 'vanish'),
      async (kernel, wish, boundary, moment) => {
        const before = kernel.table();
        const disk = new Disk();
        const profiles = [profile('work', wish)];
        let daemon = await daemonOn(kernel, disk, profiles);
        plug(kernel, 'ppp0');
        if (moment !== 'ip-up') await daemon.handle(event('ip-up', 'ppp0'));
        let left = boundary;
        let die: (nothing: undefined) => void = () => undefined;
        const dead = new Promise<undefined>(resolve => {
          die = resolve;
        });
        const mayCrash = () => {
          if (left-- > 0) return;
          die(undefined);
          throw new Crash();
        };
        kernel.beforeChange = mayCrash;
        disk.beforeSave = mayCrash;
        if (moment === 'vanish') kernel.remove('ppp0');
        if (moment === 'vanish') await daemon.reconcile();
        else {
          const reply = await Promise.race([daemon.handle(event(moment, 'ppp0')), dead]);
          if (left < 0 && reply !== undefined && (reply.ok || reply.code !== 'STATE'))
            throw new Error(`it crashed, and answered ${JSON.stringify(reply)}`);
        }
        await daemon.close();
        kernel.beforeChange = () => undefined;
        disk.beforeSave = () => undefined;

        daemon = await daemonOn(kernel, disk, profiles);
        // The hook had no answer, or was told that nothing is saved: the event comes again, from the spool.
        if (moment !== 'vanish') await daemon.handle(event(moment, 'ppp0'));
        if (moment === 'ip-up') await daemon.handle(event('ip-down', 'ppp0'));
        kernel.remove('ppp0');
        await daemon.reconcile();
        await daemon.close();
        return sameTexts(kernel.table(), before);
      },
    ),
    { numRuns: runs * 2, seed },
  );
});

t.test('a fault at any boundary, and well again: it ends where it would have ended', async () => {
  await fc.assert(
    fc.asyncProperty(
      machine,
      settings,
      fc.nat(12),
      fc.constantFrom('ip-up', 'ip-down', 'vanish'),
      fc.constantFrom('ip does not answer', 'a fault of our own'),
      async (kernel, wish, boundary, moment, fault) => {
        const before = kernel.table();
        const daemon = await daemonOn(kernel, new Disk(), [profile('work', wish)]);
        plug(kernel, 'ppp0');
        if (moment !== 'ip-up') await daemon.handle(event('ip-up', 'ppp0'));
        let left = boundary;
        kernel.beforeChange = () => {
          if (left-- > 0) return;
          kernel.isDeaf = fault === 'ip does not answer';
          if (kernel.isDeaf) throw new Deaf('ip has ended');
          if (left === -1) throw new TypeError('cannot read properties of undefined');
        };
        if (moment === 'vanish') kernel.remove('ppp0');
        const told = moment === 'vanish' ? undefined : daemon.handle(event(moment, 'ppp0'));
        const outcome = told?.then(
          () => 'answered',
          () => 'refused',
        );
        await daemon.reconcile();
        kernel.beforeChange = () => undefined;
        kernel.isDeaf = false;
        await daemon.reconcile();
        // What was refused comes again, from the spool.
        if (moment !== 'vanish' && (await outcome) === 'refused') await daemon.handle(event(moment, 'ppp0'));
        if (moment === 'ip-up') await daemon.handle(event('ip-down', 'ppp0'));
        kernel.remove('ppp0');
        await daemon.reconcile();
        await daemon.close();
        // An up that is refused half-way leaves one of two of a metric where it is, and the other goes back behind it.
        const inOrder = (table: string[]) => (fault === 'a fault of our own' ? table.sort() : table);
        return sameTexts(inOrder(kernel.table()), inOrder(before));
      },
    ),
    { numRuns: runs * 2, seed },
  );
});

t.test('several links in any order: the winner carries the default, and the last down restores', async () => {
  const names = ['ppp0', 'ppp1', 'ppp2', 'ppp3'];
  const steps = fc.array(
    fc.record({ link: fc.constantFrom(...names), what: fc.constantFrom('up', 'down', 'vanish', 'restart') }),
    { maxLength: 24 },
  );
  await fc.assert(
    fc.asyncProperty(
      machine,
      fc.array(settings, { minLength: 4, maxLength: 4 }),
      steps,
      async (kernel, wishes, walk) => {
        const before = kernel.table();
        const disk = new Disk();
        const profiles = names.map((name, i) => profile(name, wishes[i] ?? {}));
        let daemon = await daemonOn(kernel, disk, profiles);
        const up: string[] = [];
        for (const { link, what } of walk) {
          const ipparam = { ipparam: link };
          if (what === 'restart') {
            await daemon.close();
            daemon = await daemonOn(kernel, disk, profiles);
          } else if (what === 'up') {
            if (!up.includes(link)) plug(kernel, link);
            if (!up.includes(link)) up.push(link);
            await daemon.handle(event('ip-up', link, ipparam));
          } else if (up.includes(link)) {
            up.splice(up.indexOf(link), 1);
            if (what === 'down') await daemon.handle(event('ip-down', link, ipparam));
            kernel.remove(link);
            await daemon.reconcile();
          }
          const carriers = up.filter(name => profiles[names.indexOf(name)]?.['default-route'] !== 'none');
          const priority = (name: string) => profiles[names.indexOf(name)]?.priority ?? 0;
          const best = Math.max(...carriers.map(priority));
          const winner = carriers.filter(name => priority(name) === best).at(-1);
          const carries = new RouteIndex(kernel.routes).longestMatch(at('198.51.100.77'))?.nexthops[0]?.dev;
          if (winner !== undefined && carries !== winner)
            throw new Error(`${carries} carries, not ${winner}`);
          const displaced = carriers.some(
            name => profiles[names.indexOf(name)]?.['default-route'] === 'replace',
          );
          const theirs = kernel.routes.filter(route => route.dst === 'default' && !isOwn(route)).length;
          const had = before.filter(line => line.startsWith('inet default')).length;
          if (theirs !== (displaced ? 0 : had))
            throw new Error(`${theirs} uplink defaults, displaced: ${displaced}`);
        }
        for (const link of up) {
          await daemon.handle(event('ip-down', link, { ipparam: link }));
          kernel.remove(link);
        }
        await daemon.reconcile();
        await daemon.close();
        return sameTexts(kernel.table(), before);
      },
    ),
    { numRuns: Math.ceil(runs / 2), seed },
  );
});

t.test(
  'a state that cannot be saved: nothing changes, the reply says so, and a later save makes it good',
  async t => {
    const kernel = new FakeKernel();
    kernel.interfaces = [{ name: 'eth0', ifindex: 2, up: true }];
    kernel.add('default via 192.168.1.1 dev eth0 metric 100');
    const disk = new Disk();
    const daemon = await daemonOn(kernel, disk, [profile('work', { 'default-route': 'replace' })]);
    plug(kernel, 'ppp0');
    const before = kernel.table();
    disk.full = true;
    const { isSaved } = await unsaved(daemon.handle(event('ip-up', 'ppp0')));
    t.same(kernel.table(), before);
    t.equal(daemon.snapshot().degraded, true);
    await daemon.reconcile();
    t.notOk(isSaved(), 'it is said to be on disk');
    disk.full = false;
    await daemon.reconcile();
    t.ok(isSaved(), 'and now it is');
    t.equal(disk.state.links.length, 1);
    t.match(kernel.table(), [
      'inet 10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2',
      'inet 203.0.113.5 via 192.168.1.1 dev eth0 proto 173',
      'inet default dev ppp0 proto 173',
    ]);
    disk.full = true;
    t.comment('the disk fills again while it is up');
    const down = await unsaved(daemon.handle(event('ip-down', 'ppp0')));
    t.same(
      kernel.table().filter(line => line.includes('default')),
      ['inet default via 192.168.1.1 dev eth0 metric 100'],
      'but the uplink is back',
    );
    const again = await unsaved(daemon.handle(event('ip-down', 'ppp0')));
    t.notOk(again.isSaved(), 'nothing is left to do, and that is in memory only');
    disk.full = false;
    await daemon.reconcile();
    t.ok(down.isSaved() && again.isSaved());
    t.same(disk.state.links, []);
    await daemon.close();

    /** The answer is that it is not saved; since then it may have been. */
    async function unsaved(answer: Promise<Reply>): Promise<{ isSaved(): boolean }> {
      const reply = await answer;
      t.match(reply, { ok: false, code: 'STATE' });
      let isSaved = false;
      if ('saved' in reply) void reply.saved.then(() => (isSaved = true));
      return { isSaved: () => isSaved };
    }
  },
);

t.test('a state that cannot be saved lets nothing out that is to stay dark', async t => {
  const kernel = new FakeKernel();
  kernel.interfaces = [{ name: 'eth0', ifindex: 2, up: true }];
  const uplink = 'inet default via 192.168.1.1 dev eth0 metric 100';
  kernel.add(uplink.slice('inet '.length));
  const disk = new Disk();
  const daemon = await daemonOn(kernel, disk, [
    profile('work', { 'default-route': 'replace', 'on-loss': 'block' }),
  ]);
  const defaults = () => kernel.table().filter(line => line.includes('default'));
  const carried = ['inet default dev ppp0 proto 173', 'inet unreachable default proto 173 metric 1'];
  const dark = ['inet unreachable default proto 173'];
  const comes = () => {
    plug(kernel, 'ppp0');
    return daemon.handle(event('ip-up', 'ppp0'));
  };
  const goes = () => {
    kernel.remove('ppp0');
    return daemon.reconcile();
  };

  t.match(await comes(), { ok: true });
  await goes();
  t.same(defaults(), dark, 'lost');
  disk.full = true;
  t.match(await comes(), { code: 'STATE' });
  t.same(defaults(), dark, 'returned, and not on disk');
  await goes();
  t.same(defaults(), dark, 'lost again');
  await comes();
  disk.full = false;
  await daemon.reconcile();
  t.same(defaults(), carried, 'on disk');
  disk.full = true;
  await goes();
  t.match(await comes(), { code: 'STATE' });
  t.same(defaults(), dark, 'lost and returned, neither on disk');
  await daemon.release();
  t.same(defaults(), [uplink], 'the administrator wins');
  await daemon.reconcile();
  t.same(defaults(), [uplink]);
  disk.full = false;
  t.match(await daemon.handle(event('ip-up', 'ppp0')), { ok: true });
  t.same(defaults(), carried, 'until it comes up anew');
  await goes();
  disk.full = true;
  await daemon.release();
  t.same(defaults(), [uplink], 'and where there is no link');
  await daemon.close();
});

t.test('what happens to a link while another event is being applied is seen in that look', async t => {
  const kernel = new FakeKernel();
  kernel.interfaces = [{ name: 'eth0', ifindex: 2, up: true }];
  kernel.add('default via 192.168.1.1 dev eth0 metric 100');
  const disk = new Disk();
  const daemon = await daemonOn(kernel, disk, [
    profile('work', { 'default-route': 'replace', 'on-loss': 'block' }),
    profile('site', { server: 'none', networks: ['10.20.0.0/16'] }),
  ]);
  plug(kernel, 'ppp0');
  plug(kernel, 'ppp1');
  await daemon.handle(event('ip-up', 'ppp0'));
  const atNextChange = (change: () => void) => {
    kernel.beforeChange = () => {
      kernel.beforeChange = () => undefined;
      change();
    };
  };

  atNextChange(() => {
    kernel.setUp('ppp0', false);
    kernel.interfaces = kernel.interfaces.map(face =>
      face.name === 'ppp0' ? { ...face, name: 'office', up: true } : face,
    );
  });
  await daemon.handle(event('ip-up', 'ppp1', { ipparam: 'site' }));
  const defaults = () => kernel.table().filter(line => line.includes('default'));
  t.match(defaults(), ['inet default dev office proto 173', /unreachable/], 'by its new name');

  const before = kernel.interfaces;
  atNextChange(() => kernel.remove('office'));
  await daemon.handle(event('ip-down', 'ppp1', { ipparam: 'site' }));
  t.not(kernel.interfaces, before);
  t.same(defaults(), ['inet unreachable default proto 173'], 'and nothing leaks when it is gone');
  t.match(daemon.snapshot().links, [{ interface: 'office', lost: true }]);
  await daemon.close();
});

t.test('while ip cannot be asked an event has no answer, and when it can be each has one', async t => {
  const kernel = new FakeKernel();
  kernel.interfaces = [{ name: 'eth0', ifindex: 2, up: true }];
  kernel.add('default via 192.168.1.1 dev eth0 metric 100');
  const disk = new Disk();
  const daemon = await daemonOn(kernel, disk, [profile('work', { 'default-route': 'replace' })]);
  plug(kernel, 'ppp0');
  plug(kernel, 'ppp1');
  const before = kernel.table();
  kernel.isDeaf = true;
  const answers: string[] = [];
  const told = ['ppp0', 'ppp1'].map(link =>
    daemon.handle(event('ip-up', link)).then(reply => {
      answers.push(`${link} ${reply.ok}`);
      return reply;
    }),
  );
  const down = daemon.handle(event('ip-down', 'ppp1'));
  for (let look = 0; look < 3; look++) await daemon.reconcile();
  t.same(answers, []);
  t.same(kernel.table(), before);
  t.match(daemon.snapshot(), { degraded: true, status: /ip cannot be asked/, links: [] });
  kernel.isDeaf = false;
  await daemon.reconcile();
  t.match(await Promise.all([...told, down]), [{ ok: true }, { ok: true }, { ok: true }]);
  t.same(answers, ['ppp0 true', 'ppp1 true']);
  t.match(
    disk.state.links.map(link => link.interface),
    ['ppp0'],
  );
  t.equal(daemon.snapshot().degraded, false);
  await daemon.close();
});

t.test('ip stops answering just after the default was displaced: it stays saved, and comes back', async t => {
  const kernel = new FakeKernel();
  kernel.interfaces = [{ name: 'eth0', ifindex: 2, up: true }];
  const uplink = 'default via 192.168.1.1 dev eth0 metric 100';
  kernel.add(uplink);
  const disk = new Disk();
  const daemon = await daemonOn(kernel, disk, [profile('work', { 'default-route': 'replace' })]);
  plug(kernel, 'ppp0');
  kernel.beforeChange = command => {
    if (command === `route del ${uplink}`) kernel.isDeaf = true;
  };
  const up = daemon.handle(event('ip-up', 'ppp0'));
  await daemon.reconcile();
  t.notMatch(kernel.table(), `inet ${uplink}`, 'it is displaced');
  t.match(daemon.snapshot(), { degraded: true, savedDefaults: [{ route: uplink }] });
  kernel.isDeaf = false;
  t.match(await Promise.all([up, daemon.reconcile()]), [{ ok: true }]);
  t.match(disk.state, { savedDefaults: [{ route: uplink }] });

  kernel.beforeChange = command => {
    if (command.startsWith('route append')) kernel.isDeaf = true;
  };
  const down = daemon.handle(event('ip-down', 'ppp0'));
  await daemon.reconcile();
  t.match(disk.state, { savedDefaults: [{ route: uplink }] }, 'it was on its way back');
  kernel.isDeaf = false;
  t.match(await Promise.all([down, daemon.reconcile()]), [{ ok: true }]);
  t.same(disk.state.savedDefaults, []);
  t.same(
    kernel.table().filter(line => line.includes('default')),
    [`inet ${uplink}`],
  );
  await daemon.close();
});

t.test('an event over which the daemon stumbles is refused, and those beside it are taken in', async t => {
  const kernel = new FakeKernel();
  kernel.interfaces = [{ name: 'eth0', ifindex: 2, up: true }];
  kernel.add('default via 192.168.1.1 dev eth0 metric 100');
  const disk = new Disk();
  const wish = profile('work', { 'default-route': 'replace', networks: ['10.20.0.0/16'] });
  const daemon = await daemonOn(kernel, disk, [wish]);
  for (const link of ['ppp0', 'ppp1', 'ppp2']) plug(kernel, link);
  kernel.beforeChange = command => {
    if (command.includes(' add ') || !command.includes('dev ppp1')) return;
    throw new TypeError('cannot read properties of undefined');
  };
  const answers = await Promise.allSettled(
    ['ppp0', 'ppp1', 'ppp2'].map(link => daemon.handle(event('ip-up', link))),
  );
  t.match(answers, [
    { status: 'fulfilled', value: { ok: true } },
    { status: 'rejected', reason: /cannot read properties/ },
    { status: 'fulfilled', value: { ok: true } },
  ]);
  const known = ['ppp0', 'ppp2'];
  t.match(daemon.snapshot(), { degraded: false, links: known.map(link => ({ interface: link })) });
  t.same(
    disk.state.links.map(link => link.interface),
    known,
  );
  for (const link of ['ppp2', 'ppp0']) t.match(await daemon.handle(event('ip-down', link)), { ok: true });
  t.match(kernel.table(), [/ ppp0 /, / ppp1 /, / ppp2 /, /^inet default via 192/]);
  t.equal(kernel.table().length, 4);
  await daemon.close();
});

t.test('what several links want is asked for once', async t => {
  const kernel = new FakeKernel();
  kernel.interfaces = [{ name: 'eth0', ifindex: 2, up: true }];
  kernel.add('default via 192.168.1.1 dev eth0 metric 100');
  const daemon = await daemonOn(kernel, new Disk(), [profile('work', { ipv6: 'block' })]);
  const links = ['ppp0', 'ppp1', 'ppp2', 'ppp3'];
  for (const link of links) plug(kernel, link);
  const asked: string[] = [];
  kernel.beforeChange = command => asked.push(command);
  // They wait, and come all at once.
  kernel.isDeaf = true;
  const told = links.map(link => daemon.handle(event('ip-up', link)));
  await daemon.reconcile();
  kernel.isDeaf = false;
  await daemon.reconcile();
  t.match(
    await Promise.all(told),
    links.map(() => ({ ok: true })),
  );
  const blocks = asked.filter(command => command.includes('unreachable 2000::/3'));
  t.equal(blocks.length, 1);
  await daemon.close();
});

t.test('what makes the daemon stumble without any event costs no event', async t => {
  const kernel = new FakeKernel();
  kernel.interfaces = [{ name: 'eth0', ifindex: 2, up: true }];
  kernel.add('default via 192.168.1.1 dev eth0 metric 100');
  const daemon = await daemonOn(kernel, new Disk(), [profile('work', { 'default-route': 'replace' })]);
  plug(kernel, 'ppp0');
  await daemon.handle(event('ip-up', 'ppp0'));
  let isBroken = true;
  kernel.beforeChange = () => {
    if (isBroken) throw new TypeError('cannot read properties of undefined');
  };
  kernel.routes = kernel.routes.filter(route => !isOwn(route));
  plug(kernel, 'ppp1');
  const up = daemon.handle(event('ip-up', 'ppp1'));
  await daemon.reconcile();
  t.match(daemon.snapshot(), { degraded: true, status: /cannot read properties/ });
  isBroken = false;
  await daemon.reconcile();
  t.match(await up, { ok: true });
  t.equal(daemon.snapshot().degraded, false);
  await daemon.close();
});

const table6 = (kernel: FakeKernel) => kernel.table().filter(line => line.startsWith('inet6'));

for (const mode of ['replace', 'metric']) {
  t.test(`${mode}: what has the place of our IPv6 default is a failure, and over when it goes`, async t => {
    const kernel = new FakeKernel();
    kernel.interfaces = [{ name: 'eth0', ifindex: 2, up: true }];
    const uplink = 'default via fe80::1 dev eth0 proto static metric 1';
    kernel.add(uplink, 'inet6');
    const tried: string[] = [];
    kernel.beforeChange = command => tried.push(command);
    const said: string[] = [];
    const journal = { ...quiet, warn: (_: object, text: string) => said.push(text) };
    const settings = { 'default-route': mode, ipv6: 'route' };
    const daemon = await daemonOn(kernel, new Disk(), [profile('work', settings)], journal);
    plug(kernel, 'ppp0');
    const ends = { local: 'fe80::8:2', remote: 'fe80::8:1' };
    const reply = await daemon.handle(event('ipv6-up', 'ppp0', ends));
    const ours = '::/0 dev ppp0 proto 173 metric 1';
    t.match(reply, {
      ok: false,
      code: 'ROUTE',
      text: `ip -6 route add ${ours}: RTNETLINK answers: File exists`,
    });
    t.match(daemon.snapshot(), { degraded: true, troubles: [/File exists/] });
    t.same(tried, Array(2).fill(`route add ${ours}`), 'once more after a look, and no more');
    t.same(table6(kernel), [`inet6 ${uplink}`], 'the uplink keeps what ours does not stand for');

    await daemon.reconcile();
    t.match(
      said.filter(text => text.includes('::/0') || text.includes(uplink)),
      [
        /^failed adding the default over the link: .*File exists$/,
        ...(mode === 'replace' ? [/^not deleting the uplink's default, .*: what it needs failed$/] : []),
      ],
      'each told once',
    );
    kernel.run(`route del ${uplink}`, 'inet6');
    await daemon.reconcile();
    t.same(table6(kernel), [`inet6 ${ours}`]);
    t.match(daemon.snapshot(), { degraded: false });
    await daemon.close();
  });
}

t.test('the IPv6 default goes from one link to the other, which has its very place', async t => {
  const kernel = new FakeKernel();
  kernel.interfaces = [{ name: 'eth0', ifindex: 2, up: true }];
  const uplink = 'inet6 default via fe80::1 dev eth0 proto static metric 1024';
  kernel.add(uplink.slice(6), 'inet6');
  const daemon = await daemonOn(kernel, new Disk(), [
    profile('work', { 'default-route': 'replace', ipv6: 'route' }),
  ]);
  for (const name of ['ppp0', 'ppp1']) {
    plug(kernel, name);
    const ends = { local: 'fe80::8:2', remote: 'fe80::8:1' };
    t.match(await daemon.handle(event('ipv6-up', name, ends)), { ok: true });
    t.same(table6(kernel), [`inet6 ::/0 dev ${name} proto 173 metric 1`]);
  }
  for (const name of ['ppp1', 'ppp0']) t.match(await daemon.handle(event('ipv6-down', name)), { ok: true });
  t.same(table6(kernel), [uplink]);
  await daemon.close();
});

t.test('our default stays where the state was lost and nothing else leads out', async t => {
  const kernel = new FakeKernel();
  kernel.interfaces = [{ name: 'eth0', ifindex: 2, up: true }];
  kernel.add('default via 192.168.1.1 dev eth0 metric 100');
  const profiles = [
    profile('work', { 'default-route': 'replace' }),
    profile('named', { 'default-route': 'replace', server: 'vpn.example' }),
  ];
  const before = await daemonOn(kernel, new Disk(), profiles);
  plug(kernel, 'ppp0');
  await before.handle(event('ip-up', 'ppp0'));
  await before.close();
  const routes = kernel.table();

  const disk = new Disk();
  const daemon = await daemonOn(kernel, disk, profiles);
  t.same(kernel.table(), routes, 'after the start');
  kernel.interfaces.push({ name: 'ppp1', ifindex: 99, up: true });
  disk.full = true;
  t.match(await daemon.handle(event('ip-up', 'ppp1', { ipparam: '' })), { code: 'STATE' });
  t.same(kernel.table(), routes, 'a link that cannot be saved');
  disk.full = false;
  t.match(await daemon.handle(event('ip-up', 'ppp1', { ipparam: '' })), { ok: true });
  t.same(kernel.table(), routes, 'a link that is left alone');
  t.match(daemon.snapshot(), { degraded: true, status: /nothing else leads out/ });

  const less: [string, LinkEvent][] = [
    ['an event of the other family', event('ipv6-up', 'ppp0', { local: 'fe80::2', remote: 'fe80::1' })],
    ['a link that no profile matches', event('ip-up', 'ppp0', { ipparam: '' })],
    ['a server whose name has no address', event('ip-up', 'ppp0', { ipparam: 'named' })],
  ];
  for (const [what, told] of less) {
    await daemon.handle(told);
    t.same(kernel.table(), routes, what);
    t.match(daemon.snapshot(), { degraded: true, status: /nothing else leads out/ }, what);
  }

  kernel.add('default via 192.168.1.1 dev eth0 metric 100');
  await daemon.reconcile();
  t.notMatch(kernel.table().join('\n'), ' proto 173', 'another way out, and it is swept');
  await daemon.handle(event('ip-up', 'ppp0'));
  t.same(kernel.table(), routes);
  await daemon.close();
});

function at(address: string) {
  const prefix = parsePrefix(address);
  if (prefix === undefined) throw new Error(address);
  return prefix;
}

function sameTexts(found: string[], wanted: string[]): boolean {
  if (found.join('\n') === wanted.join('\n')) return true;
  throw new Error(`the table is\n${found.join('\n')}\nand should be\n${wanted.join('\n')}`);
}

const refusals: Record<string, 'eth0' | 'wlan0'> = {
  'Error: Nexthop has invalid gateway.': 'wlan0',
  'Error: Nexthop id does not exist.': 'wlan0',
  'RTNETLINK answers: No route to host': 'wlan0',
  'RTNETLINK answers: Cannot allocate memory': 'eth0',
  'RTNETLINK answers: Operation not permitted': 'eth0',
};

for (const [error, device] of Object.entries(refusals)) {
  t.test(`a pin is refused with “${error}”: the uplink is ${device} then`, async t => {
    const kernel = new FakeKernel();
    kernel.interfaces = [
      { name: 'eth0', ifindex: 2, up: true },
      { name: 'wlan0', ifindex: 3, up: true },
    ];
    kernel.add('default via 192.168.1.1 dev eth0 metric 100');
    kernel.add('default via 172.16.0.1 dev wlan0 metric 600');
    const before = kernel.table();
    const work = profile('work', { 'default-route': 'replace' });
    const daemon = await daemonOn(kernel, new Disk(), [work]);
    plug(kernel, 'ppp0');
    t.match(await daemon.handle(event('ip-up', 'ppp0')), { ok: true });

    const run = kernel.run.bind(kernel);
    const tried: string[] = [];
    kernel.run = (command, family) => {
      if (!/ (add|prepend) 203.* dev eth0/.test(command)) return run(command, family);
      tried.push(command);
      return error;
    };
    kernel.routes = kernel.routes.filter(({ dst }) => dst !== server);
    await daemon.reconcile();
    await daemon.reconcile();
    const pins = kernel.table().filter(line => line.includes(`${server} `));
    t.match(daemon.snapshot(), { degraded: device === 'eth0' });
    t.same(pins, device === 'eth0' ? [] : [`inet ${server} via 172.16.0.1 dev wlan0 proto 173`]);
    t.equal(tried.length, device === 'eth0' ? 2 : 1, 'where another does, it is asked for once');

    kernel.run = run;
    kernel.remove('ppp0');
    await daemon.reconcile();
    t.same(kernel.table(), device === 'eth0' ? before : before.slice(1));
    await daemon.close();
  });
}
