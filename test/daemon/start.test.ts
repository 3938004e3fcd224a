// A start beside which something happens: the state that a daemon of before has left is the first thing that counts.
import t from 'tap';
import type { Profile } from '../../src/core/link/profile.ts';
import { Daemon } from '../../src/daemon/daemon.ts';
import { FakeKernel } from './fake-kernel.ts';
import { Disk, event, noNames, plug, profile, quiet } from './machine.ts';

const profiles = [profile('work', { 'default-route': 'replace' })];

function daemonOn(kernel: FakeKernel, store: Disk): Daemon {
  return new Daemon({
    kernel,
    store,
    lookUp: noNames,
    journal: quiet,
    onStatus: () => undefined,
    bootId: 'boot',
    retryAfter: 3_600_000,
  });
}

const happenings: Record<string, (daemon: Daemon) => Promise<unknown>> = {
  'a change in the kernel': daemon => daemon.reconcile(),
  'a look of the watchdog': daemon => daemon.check(),
  'a signal to read the configuration': daemon => daemon.configure(profiles),
  'the administrator’s word': daemon => daemon.look(),
};

for (const [what, happen] of Object.entries(happenings)) {
  for (const read of [profiles, undefined] satisfies (readonly Profile[] | undefined)[]) {
    t.test(
      `${what} before the state is read, the configuration ${read ? 'is' : 'cannot be'} read`,
      async t => {
        const kernel = new FakeKernel();
        kernel.interfaces = [{ name: 'eth0', ifindex: 2, up: true }];
        kernel.add('default via 192.168.1.1 dev eth0 metric 100');
        const before = kernel.table();
        const disk = new Disk();
        const first = daemonOn(kernel, disk);
        await first.start(async () => profiles);
        plug(kernel, 'ppp0');
        await first.handle(event('ip-up', 'ppp0'));
        await first.close();
        const { table, state } = { table: kernel.table(), state: disk.state };

        const observe = kernel.observe.bind(kernel);
        kernel.observe = async () => {
          const observed = await observe();
          await new Promise(resolve => setTimeout(resolve, 40));
          return observed;
        };
        const second = daemonOn(kernel, disk);
        const happening = happen(second);
        await Promise.all([second.start(async () => read), happening]);
        t.same(kernel.table(), table, 'no route is touched');
        t.same(disk.state, state, 'and nothing is forgotten');

        await second.handle(event('ip-down', 'ppp0'));
        t.same(
          kernel.table().filter(line => !/ppp0/.test(line)),
          before,
          'the uplink comes back',
        );
        await second.close();
      },
    );
  }
}
