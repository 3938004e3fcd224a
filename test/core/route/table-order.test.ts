// The order of a table against the kernel that prints it.
import fc from 'fast-check';
import type { Family } from '../../../src/core/route/prefix.ts';
import { parseRoute } from '../../../src/core/route/route-line.ts';
import { compareRoutes } from '../../../src/core/route/table-order.ts';
import { countOf, seed } from '../../form.ts';
import { type Lab, scenario } from '../../netns/lab.ts';

const prefixes: Record<Family, string[]> = {
  inet: [
    ...['0.0.0.0/0', '0.0.0.0/1', '128.0.0.0/1', '10.0.0.0/8', '10.0.0.0/24', '10.0.0.0/32', '10.0.1.0/24'],
    ...['192.168.0.0/16', '192.168.0.0/24', '193.6.37.0/24', '203.0.113.5/32', '9.0.0.0/8', '100.64.0.0/10'],
  ],
  inet6: [
    ...['::/0', '2000::/3', '2001:db8::/32', '2001:db8::/64', '2001:db8::/128', '2001:db8:0:1::/64', '::/1'],
    ...['fd00::/8', 'fd00::9/128', 'fe80::/10', 'fe80::8:1/128', '8000::/1', '2001:db8:ffff::1/128'],
  ],
};

function tableOf(family: Family): fc.Arbitrary<string[]> {
  const tos = family === 'inet' ? fc.constantFrom('', '', ' tos 0x10', ' tos 0x08') : fc.constant('');
  const route = fc
    .tuple(fc.constantFrom(...prefixes[family]), tos, fc.constantFrom(1, 7, 100, 1024))
    .map(([prefix, of, metric]) => `${prefix}${of} dev eth0 metric ${metric}`);
  return fc.uniqueArray(route, { minLength: 2, maxLength: 16 });
}

async function compare(lab: Lab, family: Family, lines: string[]): Promise<void> {
  const flag = family === 'inet' ? '-4' : '-6';
  const commands = ['route flush table main', ...lines.map(line => `route add ${line}`)];
  const script = `printf '%s\\n' "$1" | ip ${flag} -force -batch -; ip ${flag} -o route show table main`;
  const shown = (await lab.run('/bin/sh', '-c', script, 'sh', commands.join('\n')))
    .split('\n')
    .flatMap(line => parseRoute(line, family) ?? []);
  if (shown.length !== lines.length) throw new Error(`${lines.length} routes were made: ${lines.join(', ')}`);
  const sorted = shown.toSorted(compareRoutes);
  const text = (routes: typeof shown) => routes.map(({ line }) => line).join('\n');
  if (text(sorted) !== text(shown)) throw new Error(`the kernel:\n${text(shown)}\nwe:\n${text(sorted)}`);
}

for (const family of ['inet', 'inet6'] as const) {
  scenario(`routes are in the order in which the kernel prints them: ${family}`, async lab => {
    await lab.plug('eth0');
    await fc.assert(
      fc.asyncProperty(tableOf(family), lines => compare(lab, family, lines)),
      { numRuns: countOf({ short: 60, whole: 200 }), seed },
    );
  });
}
