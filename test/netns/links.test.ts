// Row 9: several links, in any order of ups and downs.
import { base, scenario } from './lab.ts';

const profiles = `
[link.work]
default-route = "replace"
server = "203.0.113.5"
[link.vip]
default-route = "replace"
server = "203.0.113.6"
priority = 10
[link.meter]
default-route = "metric"
server = "203.0.113.7"
[link.site]
default-route = "none"
networks = ["193.6.37.0/24"]
server = "203.0.113.8"
`;

/** Each event and the device that the rest of the world is reached by after it. `+` is up, `-` is down, `x` is lost. */
const orders: Record<string, string> = {
  'the first goes first': '+work0 ppp0, +work1 ppp1, -work0 ppp1, -work1 eth0',
  'the last goes first': '+work0 ppp0, +work1 ppp1, -work1 ppp0, -work0 eth0',
  'one comes again': '+work0 ppp0, +work1 ppp1, -work0 ppp1, +work0 ppp0, -work1 ppp0, -work0 eth0',
  'the highest priority wins over the newest': '+vip0 ppp0, +work1 ppp0, -vip0 ppp1, -work1 eth0',
  'the highest priority takes over': '+work0 ppp0, +vip1 ppp1, -vip1 ppp0, -work0 eth0',
  three: '+work0 ppp0, +work1 ppp1, +work2 ppp2, -work1 ppp2, -work2 ppp0, -work0 eth0',
  'metric over replace': '+work0 ppp0, +meter1 ppp1, -work0 ppp1, -meter1 eth0',
  'replace over metric': '+meter0 ppp0, +work1 ppp1, -meter0 ppp1, -work1 eth0',
  'one without a default': '+work0 ppp0, +site1 ppp0, -work0 eth0, -site1 eth0',
  'one is lost': '+work0 ppp0, +work1 ppp1, xwork1 ppp0, -work0 eth0',
  'all are lost': '+work0 ppp0, +work1 ppp1, xwork0 ppp1, xwork1 eth0',
};

scenario('9. several links, in any order', async (lab, t) => {
  await lab.machine({ profiles });
  for (const [what, order] of Object.entries(orders)) {
    for (const step of order.split(', ')) {
      const [, does = '', ipparam = '', unit = '', device = ''] = /^([-+x])(\D+)(\d) (\S+)$/.exec(step) ?? [];
      const name = `ppp${unit}`;
      if (does === '+') await lab.up(name, { ipparam });
      else if (does === '-') await lab.down(name, { ipparam });
      else await lab.ip(`link del ${name}`);
      await lab
        .until(async () => (await lab.deviceTo('198.51.100.7').catch(() => 'none')) === device, 1000)
        .catch(() => undefined);
      t.equal(await lab.deviceTo('198.51.100.7'), device, `${what}: ${step}`);
    }
    await lab.restored(1000);
  }
});

scenario('9. the table while two links are up', async lab => {
  await lab.machine({ profiles });
  await lab.up('ppp0');
  await lab.up('ppp1', { ipparam: 'vip' });
  await lab.up('ppp2', { ipparam: 'site' });
  await lab.shows(`
    default dev ppp1 proto 173 scope link
    10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
    10.99.1.1 dev ppp1 proto kernel scope link src 10.99.1.2
    10.99.2.1 dev ppp2 proto kernel scope link src 10.99.2.2
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
    193.6.37.0/24 dev ppp2 proto 173 scope link
    203.0.113.5 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
    203.0.113.6 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
    203.0.113.8 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
  `);
  await lab.down('ppp1', { ipparam: 'vip' });
  await lab.down('ppp2', { ipparam: 'site' });
  await lab.down('ppp0');
  await lab.restored();
});

scenario('9. twelve links come up at once and go down at once', async (lab, t) => {
  await lab.machine({ profiles });
  const names = Array.from({ length: 12 }, (_, unit) => `ppp${unit}`);
  for (const name of names) await lab.connect(name);
  const before = await lab.table();
  const call = { environment: { PPPD_PID: '' } };
  for (const { stderr } of await Promise.all(names.map(name => lab.hook('ip-up', name, call))))
    t.equal(stderr, '');
  const carriers = await lab.lines('route show default');
  t.match(carriers, [/^default dev ppp\d+ proto 173 scope link$/], 'one default');
  t.equal(carriers.length, 1);
  t.equal((await lab.state()).links.length, names.length);
  t.same(
    (await lab.state()).savedDefaults.map(({ route }) => route),
    [base.trim().split('\n')[0]],
  );
  for (const { stderr } of await Promise.all(names.map(name => lab.hook('ip-down', name, call))))
    t.equal(stderr, '');
  t.equal(await lab.table(), before, 'byte for byte as before');
});

scenario('9. two links of the same addresses', async lab => {
  await lab.machine({ profiles });
  const same = { local: '10.99.0.2', remote: '10.99.0.1' };
  await lab.up('ppp0', same);
  await lab.up('ppp1', same);
  await lab.shows(`
    default dev ppp1 proto 173 scope link
    10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2
    10.99.0.1 dev ppp1 proto kernel scope link src 10.99.0.2
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
    203.0.113.5 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
  `);
  await lab.down('ppp0', same);
  await lab.down('ppp1', same);
  await lab.restored();
});
