// What `ppp-routectl plan` says against what a real event then does: the commands of the journal, the table of the kernel.
import type { Test } from 'tap';
import { ends6, type Lab, linesOf, scenario } from '../netns/lab.ts';
import { ctl } from './ctl.ts';

interface Plan {
  event: string;
  commands: string[];
  before: string[];
  table: string[];
  says: string[];
  changes: { change: string; route: string }[];
}

const work = (mode: string, more = '') =>
  `[link.work]\ndefault-route = "${mode}"\nserver = "203.0.113.5"\n${more}\n`;
const call = '/dev/pts/0 115200 10.99.0.2 10.99.0.1 work';

async function plan(lab: Lab, t: Test, words: string): Promise<Plan> {
  const { exitCode, stdout, stderr } = await ctl(lab, `plan ${words} --json`);
  t.same({ exitCode, stderr }, { exitCode: 0, stderr: '' }, `plan ${words}`);
  return JSON.parse(stdout);
}

/** The tables as a plan shows them: main and our own, IPv4 first. */
async function tables(lab: Lab): Promise<string[]> {
  const shown: string[] = [];
  for (const family of ['-4', '-6']) {
    shown.push(...(await lab.lines(`${family} -o route show table main`)));
    const own = await lab.lines(`${family} -o route show table all proto 173`);
    shown.push(...own.filter(line => line.includes(' table 17300')).map(line => `${line} proto 173`));
  }
  return shown.map(wordsInOrder);
}

/** The protocol that was filtered for stands at the end. */
const wordsInOrder = (line: string) =>
  line
    .replace(/ linkdown\b/, '')
    .replace(/^(.* table 17300)(.*) proto 173$/, '$1 proto 173$2')
    .trim();

/** The commands in the journal since a line of it. */
function commandsSince(lab: Lab, since: number): string[] {
  return lab
    .log()
    .slice(since)
    .flatMap(line => /: (ip (?:-6 )?(?:route|rule|neigh) .*)$/.exec(line)?.[1] ?? []);
}

/** What was planned is what happened, and planning did nothing. */
async function keepsWord(
  lab: Lab,
  t: Test,
  { words, happen, healed = false }: { words: string; happen(): Promise<unknown>; healed?: boolean },
): Promise<Plan> {
  const before = await lab.table();
  const planned = await plan(lab, t, words);
  t.equal(await lab.table(), before, 'planning changes nothing');
  t.same(planned.before, await tables(lab), `${words}: the table before`);
  const since = lab.log().length;
  await happen();
  // What was done can be seen before its line in the journal is read here.
  const isTold = () => commandsSince(lab, since).length >= planned.commands.length;
  await lab.until(isTold).catch(() => undefined);
  const commands = commandsSince(lab, since);
  const meant = healed ? commands.filter(command => planned.commands.includes(command)) : commands;
  t.same(meant, planned.commands, `${words}: the commands, in their order`);
  t.same(await tables(lab), planned.table, `${words}: the table`);
  const { links, troubles } = await lab.status();
  const held = [...links.map(({ says }) => says), ...troubles].sort();
  t.same(planned.says.slice(0, held.length).sort(), held, `${words}: what holds`);
  return planned;
}

for (const mode of ['replace', 'metric', 'half', 'table', 'none']) {
  scenario(`plan keeps its word: ${mode}`, async (lab, t) => {
    const more = 'networks = ["193.6.37.0/24", "10.0.0.0/8"]\nexclude = ["10.9.0.0/16"]';
    await lab.machine({ profiles: work(mode, more) });
    await keepsWord(lab, t, { words: `ip-up ppp0 ${call}`, happen: () => lab.up('ppp0') });
    const again = await plan(lab, t, `ip-up ppp0 ${call}`);
    t.same({ commands: again.commands, table: again.table }, { commands: [], table: again.before });
    await keepsWord(lab, t, { words: `ip-down ppp0 ${call}`, happen: () => lab.down('ppp0') });
    await lab.restored();
    await lab.connect('ppp0');
    await keepsWord(lab, t, {
      words: `ip-up ppp0 ${call}`,
      happen: () => lab.fine(lab.hook('ip-up', 'ppp0')),
    });
  });

  scenario(`plan keeps its word: ${mode}, IPv6, dark on loss`, async (lab, t) => {
    await lab.machine({
      addresses: ['192.168.1.10/24 dev eth0', '2001:db8:1::2/64 dev eth0'],
      routes6: `
        2001:db8:1::/64 dev eth0 proto kernel metric 256 pref medium
        default via fe80::1 dev eth0 proto static metric 1024 pref medium
      `,
      profiles: `[link.work]\ndefault-route = "${mode}"\nserver = ["203.0.113.5", "2001:db8:5::5"]\nipv6 = "route"\non-loss = "block"\nnetworks = ["2001:db8:77::/48"]`,
    });
    await lab.connect('ppp0');
    const ends = { local: ends6.local, remote: ends6.remote };
    const call6 = `/dev/pts/0 115200 ${ends.local} ${ends.remote} work`;
    await keepsWord(lab, t, {
      words: `ip-up ppp0 ${call}`,
      happen: () => lab.fine(lab.hook('ip-up', 'ppp0')),
    });
    await keepsWord(lab, t, {
      words: `ipv6-up ppp0 ${call6}`,
      happen: async () => {
        await lab.connect6('ppp0');
        await lab.fine(lab.hook('ipv6-up', 'ppp0', ends));
      },
    });
    await keepsWord(lab, t, {
      words: `ip-down ppp0 ${call}`,
      // Before the hook speaks, the daemon may put back what the kernel took from an interface that is up.
      healed: true,
      happen: async () => {
        await lab.ip('address del 10.99.0.2 peer 10.99.0.1/32 dev ppp0');
        await lab.fine(lab.hook('ip-down', 'ppp0'));
      },
    });
    await keepsWord(lab, t, {
      words: `ipv6-down ppp0 ${call6}`,
      happen: async () => {
        await lab.ip('link set ppp0 down');
        await lab.fine(lab.hook('ipv6-down', 'ppp0', ends));
      },
    });
    await lab.ip('link del ppp0');
    await keepsWord(lab, t, { words: `ip-up ppp0 ${call}`, happen: () => lab.up('ppp0') });
    const { says } = await keepsWord(lab, t, {
      words: `ipv6-up ppp0 ${call6}`,
      happen: async () => {
        await lab.connect6('ppp0');
        await lab.fine(lab.hook('ipv6-up', 'ppp0', ends));
      },
    });
    t.notMatch(says.join(), /lost/, 'the dark is over');
  });
}

for (const mode of ['replace', 'metric']) {
  scenario(`plan keeps its word: ${mode}, beside routes of the same metric`, async (lab, t) => {
    const routes = `
      default via 192.168.1.1 dev eth0
      192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
    `;
    await lab.machine({ routes, profiles: work(mode, 'networks = ["10.99.0.1/32"]') });
    await keepsWord(lab, t, { words: `ip-up ppp0 ${call}`, happen: () => lab.up('ppp0') });
    await keepsWord(lab, t, { words: 'ip-down ppp0', happen: () => lab.down('ppp0') });
    await lab.restored();
  });
}

scenario('plan keeps its word: a PPP link that is the uplink of another goes first', async (lab, t) => {
  await lab.machine({ profiles: work('replace').replace('work', 'second') });
  await lab.up('ppp0');
  await lab.ip('route add default dev ppp0');
  await lab.ip('route del default via 192.168.1.1 dev eth0');
  await lab.up('ppp1', { ipparam: 'second' });
  t.match(await lab.state(), { savedDefaults: [{ route: 'default dev ppp0 scope link' }] });
  await keepsWord(lab, t, { words: 'ip-down ppp0', happen: () => lab.down('ppp0') });
  await keepsWord(lab, t, { words: 'ip-down ppp1', happen: () => lab.down('ppp1') });
});

scenario('plan keeps its word: two links, IPv6 blocked', async (lab, t) => {
  const second = work('replace', 'priority = 5').replace('work', 'second');
  await lab.machine({ profiles: work('metric', 'ipv6 = "block"') + second });
  await lab.up('ppp0');
  const call1 = '/dev/pts/1 115200 10.99.1.2 10.99.1.1 second';
  const other = { ipparam: 'second' };
  await keepsWord(lab, t, { words: `ip-up ppp1 ${call1}`, happen: () => lab.up('ppp1', other) });
  await keepsWord(lab, t, { words: 'ip-down ppp0', happen: () => lab.down('ppp0') });
  await keepsWord(lab, t, { words: 'ip-down ppp1', happen: () => lab.down('ppp1', other) });
  await lab.restored();
});

scenario('plan as a person reads it', async (lab, t) => {
  await lab.machine();
  const { exitCode, stdout, stderr } = await ctl(lab, `plan ip-up ppp0 ${call} --pid 4711 --call work`);
  t.same({ exitCode, stderr }, { exitCode: 0, stderr: '' });
  t.same(
    stdout.split('\n'),
    [
      'ip-up of ppp0: 10.99.0.2 to 10.99.0.1, profile work',
      '',
      'Would run, in this order (nothing was changed)',
      '  ip route prepend 203.0.113.5 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10',
      '  ip route prepend default dev ppp0 proto 173',
      '  ip route del default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100',
      '',
      'Would hold then',
      '  work: ppp0 up, default via ppp0',
      '',
      'The table that would result: + added, - gone',
      '+ default dev ppp0 proto 173 scope link',
      '+ 10.99.0.1 dev ppp0 proto kernel scope link src 10.99.0.2',
      '- default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100',
      '  192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10',
      '+ 203.0.113.5 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10',
      '',
    ].slice(0, -1),
  );
  const rows: [words: string, event: RegExp][] = [
    [`ip-down ppp0 ${call}`, /^ip-down of ppp0: nothing to do, ppp0 was not up$/],
    [
      'ip-up ppp0',
      /^ip-up of ppp0: no address to no address, left alone: no profile matches \(ipparam ""\)$/,
    ],
    ['ip-up ppp0 tty 9600 10.99.0.2 10.99.0.1 nm-pptp-service-1', /left alone: another manager runs it$/],
  ];
  for (const [words, event] of rows) {
    const answer = await ctl(lab, `plan ${words}`);
    const [first = '', , second] = answer.stdout.split('\n');
    t.equal(answer.exitCode, 0);
    t.match(first, event);
    t.equal(second, 'No command would be run.');
  }
});

scenario('plan of an event that no hook would send', async (lab, t) => {
  await lab.machine();
  const rows: [words: string[], says: RegExp][] = [
    [['ip-up'], /missing required argument 'interface'/],
    [['up', 'ppp0'], /event is "up"; expected one of ip-up ip-down ipv6-up ipv6-down/],
    [['ip-up', 'a b'], /interface is "a b"; expected an interface name/],
    [['ip-up', 'ppp0', 'tty', 'fast'], /speed is "fast"; expected a decimal number/],
    [['ip-up', 'ppp0', 'tty', '9600', 'fe80::1'], /local is "fe80::1"; expected an IPv4 address/],
    [['ip-up', 'ppp0', '--pid', 'x'], /pid is "x"; expected a positive decimal number/],
    [['ip-up', 'ppp0', '--linkname', 'a\npid=5'], /"linkname=a\\npid=5" is more than one line/],
    [['ip-up', 'ppp0', '', '', '', '', 'work', 'more'], /too many arguments/],
  ];
  const since = lab.log().length;
  for (const [words, says] of rows) {
    const { exitCode, stdout, stderr } = await ctl(lab, ['plan', ...words]);
    t.same({ exitCode, stdout }, { exitCode: 2, stdout: '' }, words.join(' '));
    t.match(stderr, says);
  }
  t.same(linesOf(lab.log().slice(since).join('\n')), [], 'the daemon was not even asked');
  await lab.stopDaemon();
  t.equal((await ctl(lab, `plan ip-up ppp0 ${call}`)).exitCode, 3, 'no daemon');
});
