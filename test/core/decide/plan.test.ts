import fc from 'fast-check';
import t from 'tap';
import { planSteps, type Wanted } from '../../../src/core/decide/plan.ts';
import { type OwnRoute, ownRoute, type Purpose } from '../../../src/core/route/own-route.ts';
import { identityOf, type Route } from '../../../src/core/route/route.ts';
import { parseRoute } from '../../../src/core/route/route-line.ts';
import { seed } from '../../form.ts';

const words: Record<'inet' | 'inet6', [Purpose, string][]> = {
  inet: [
    ['default', 'default dev ppp0'],
    ['pin', '203.0.113.5 via 192.168.1.1 dev eth0'],
    ['pin', '10.0.0.0/8 via 192.168.1.1 dev eth0'],
    ['network', '193.6.37.0/24 dev ppp0'],
  ],
  inet6: [
    ['default', '::/0 dev ppp0'],
    ['pin', '2001:db8:5::5 via fe80::1 dev eth0'],
    ['block', 'unreachable 2000::/3'],
  ],
};
const ours = (['inet', 'inet6'] as const).flatMap(family =>
  words[family].map(([purpose, text]): OwnRoute => ownRoute(text, { family, purpose, for: 'ppp0' })),
);
const uplinks = [
  parseRoute('default via 192.168.1.1 dev eth0 proto dhcp metric 100', 'inet'),
  parseRoute('default via 172.16.0.1 dev wlan0 metric 600', 'inet'),
  parseRoute('default via fe80::1 dev eth0 metric 1024', 'inet6'),
].filter((route): route is Route => route !== undefined);

t.test('an uplink’s default goes only where ours and every pin of its family is', async t => {
  fc.assert(
    fc.property(fc.subarray(ours), fc.subarray(uplinks), (here, displace) => {
      const routes = [...here.map(({ route }) => route), ...uplinks];
      const wanted: Wanted = { routes: ours, rules: [], proxyNeighbours: [], restore: [], displace };
      const observed = { interfaces: [], addresses: [], routes, rules: [], proxyNeighbours: [] };
      const steps = planSteps(observed, wanted);
      const there = new Set(here.map(({ route }) => identityOf(route)));
      const deletions = steps.filter(step => step.kind === 'delete-route');
      t.same(new Set(deletions.map(({ route }) => route)), new Set(displace));
      for (const { route, needs } of deletions) {
        const needed = ours.filter(
          own =>
            own.route.family === route.family &&
            (own.purpose === 'default' || own.purpose === 'pin') &&
            !there.has(identityOf(own.route)),
        );
        const named = needs.flatMap(step => ('route' in step ? [step.route.line] : []));
        t.same(new Set(named), new Set(needed.map(own => own.route.line)), route.line);
      }
      return t.passing();
    }),
    { seed },
  );
});
