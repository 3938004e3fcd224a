// Any table of the real kernel: a link comes and goes on it, and it is byte for byte what it was. While the link is up no
// route of others has changed but a default that is saved.
// TEST_COUNT=2000 TEST_SEED=7 npx tap --timeout=0 test/netns/tables.test.ts
import { join } from 'node:path';
import type { Test } from 'tap';
import { countOf, seed } from '../form.ts';
import { ends6, type Lab, scenario } from './lab.ts';

const tables = countOf({ short: 100, whole: 200 });
/** Each part of the tables on a machine of its own, side by side. */
const parts = 4;

const modes = ['replace', 'metric', 'half', 'table', 'none'];
const server = '203.0.113.5';
const server6 = '2001:db8:ffff::5';
const profiles = modes.map(
  mode => `
    [link.${mode}]
    default-route = "${mode}"
    server = ["${server}", "${server6}"]
    ipv6 = "route"
    networks = ["172.31.0.0/16", "2001:db8:77::/48"]
    exclude = ["198.18.0.0/15"]
  `,
);

const machine = {
  addresses: [
    '192.168.1.10/24 dev eth0',
    '172.16.0.10/24 dev wlan0',
    '2001:db8:1::2/64 dev eth0',
    '2001:db8:2::2/64 dev wlan0',
  ],
  routes: `
    172.16.0.0/24 dev wlan0 proto kernel scope link src 172.16.0.10
    192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
  `,
  profiles: profiles.join(''),
};

type Choose = <T>(from: readonly T[]) => T;

/** Many commands of `ip route` that make a table; the kernel takes most of them. */
function randomTable(choose: Choose): { inet: string[]; inet6: string[] } {
  const count = choose([0, 1, 1, 2, 2, 3, 4, 6, 9]);
  const count6 = choose([0, 0, 1, 1, 2, 3, 5]);
  return {
    inet: Array.from({ length: count }, () => randomRoute(choose)),
    inet6: Array.from({ length: count6 }, () => randomRoute6(choose)),
  };
}

function randomRoute(choose: Choose): string {
  const dst = choose([
    ...['default', 'default', 'default', 'default', 'default'],
    ...['10.0.0.0/8', '0.0.0.0/1', '128.0.0.0/1', '203.0.113.0/24', server, '8.8.8.8', '198.18.7.0/24'],
  ]);
  const nexthops = () =>
    choose([
      'via 192.168.1.1 dev eth0',
      'via 192.168.1.254 dev eth0',
      'via 172.16.0.1 dev wlan0',
      'via 10.255.255.1 dev eth0 onlink',
      'via inet6 fe80::1 dev wlan0',
      'dev eth0 scope link',
    ]);
  const several = 'nexthop via 192.168.1.1 dev eth0 weight 3 nexthop via 172.16.0.1 dev wlan0 weight 1';
  const words = [
    choose(['', '', '', '', '', 'tos 0x10']),
    choose(['', 'proto dhcp', 'proto static', 'proto 211', 'proto bird']),
    choose(['', '', 'src 192.168.1.10', 'src 172.16.0.10']),
    choose(['', 'metric 100', 'metric 100', 'metric 302', 'metric 600', 'metric 4294967295']),
    choose(['', '', '', '', 'table 77']),
    choose([
      '',
      '',
      '',
      'mtu lock 1400',
      'mtu 1400 advmss 1360',
      'initcwnd 20 quickack 1',
      'realm 10',
      'rto_min 50ms',
    ]),
  ];
  const dark = choose([...Array<boolean>(9).fill(false), true]);
  if (dark) return `route append ${choose(['unreachable', 'blackhole'])} ${dst} ${words[3]} ${words[4]}`;
  const way = choose([nexthops(), nexthops(), nexthops(), several]);
  return way.startsWith('nexthop')
    ? `route append ${dst} ${words.join(' ')} ${way}`
    : `route append ${dst} ${way.replace(' onlink', '')} ${words.join(' ')}${way.endsWith('onlink') ? ' onlink' : ''}`;
}

function randomRoute6(choose: Choose): string {
  const dst = choose([
    'default',
    'default',
    'default',
    'default',
    '2000::/3',
    '2001:db8:ffff::/48',
    server6,
    '2001:db8:77:1::/64',
  ]);
  const ways = [
    'via fe80::1 dev eth0',
    'via fe80::2 dev eth0',
    'via fe80::1 dev wlan0',
    'via 2001:db8:1::1 dev eth0',
    'nexthop via fe80::1 dev eth0 weight 3 nexthop via fe80::1 dev wlan0 weight 1',
  ];
  const words = [
    choose(['', 'proto dhcp', 'proto static', 'proto ra', 'proto 211']),
    choose(['', '', 'src 2001:db8:1::2']),
    choose(['', 'metric 100', 'metric 512', 'metric 1024', 'metric 4000']),
    choose(['', '', '', '', 'table 77']),
    choose(['', '', 'mtu 1400', 'mtu lock 1400 hoplimit 33', 'congctl bbr']),
    choose(['', '', 'pref high', 'pref low']),
  ];
  if (choose([false, false, false, false, false, true]))
    return `route append unreachable ${dst} ${words[2]} ${words[3]}`;
  const way = choose([...ways, ...ways, 'dev eth0', 'dev wlan0']);
  return way.startsWith('nexthop')
    ? `route add ${dst} ${words.join(' ')} ${way}`
    : `route add ${dst} ${way} ${words.join(' ')}`;
}

/** What happens between the first look at a table and the last. Most often no more than up and down. */
const courses: Record<string, (link: TestLink) => Promise<void>> = {
  down: async link => link.tell('down'),
  'up again; down': async link => {
    await link.tell('up');
    await link.tell('down');
  },
  'the daemon is killed and started; down': async link => {
    await link.lab.stopDaemon('SIGKILL');
    await link.lab.startDaemon();
    await link.tell('down');
  },
  'the daemon is killed; what is ours is flushed; started; down': async link => {
    await link.lab.stopDaemon('SIGKILL');
    for (const family of ['-4', '-6']) await link.lab.ip(`${family} route flush table all proto 173`);
    await link.lab.startDaemon();
    await link.tell('down');
  },
  'the link vanishes': async link => {
    await link.unplug();
  },
  'the daemon is killed; the link vanishes; started': async link => {
    await link.lab.stopDaemon('SIGKILL');
    await link.unplug();
    await link.lab.startDaemon();
  },
};
const courseNames = Object.keys(courses);
const bag = [...Array<string>(18).fill('down'), ...courseNames];

for (let part = 0; part < parts; part++) {
  const count = Math.ceil(tables / parts);
  scenario(`${count} random tables, seed ${seed}, part ${part + 1} of ${parts}`, async (lab, t) => {
    await lab.machine(machine);
    const link = new TestLink(lab);
    const choose = chooser(seed * parts + part);
    const displaced = { tables: 0 };
    for (let number = 1; number <= count && t.passing(); number++) {
      const story = { mode: choose(modes), course: choose(bag), table: randomTable(choose) };
      await leavesItAsItWas(t, { link, story, number, displaced });
    }
    t.ok(displaced.tables > 0, `a default was displaced in ${displaced.tables} tables`);
  });
}

interface Story {
  mode: string;
  course: string;
  table: ReturnType<typeof randomTable>;
}

async function leavesItAsItWas(
  t: Test,
  {
    link,
    story,
    number,
    displaced,
  }: { link: TestLink; story: Story; number: number; displaced: { tables: number } },
): Promise<void> {
  const { lab } = link;
  const about = `table ${number}, ${story.mode}: up; ${story.course}\n${[...story.table.inet, ...story.table.inet6].join('\n')}\n`;
  link.mode = story.mode;
  const vanishes = story.course.includes('vanishes');
  await (vanishes ? link.unplug() : link.plug());
  await link.load(story.table);
  const before = await lab.table();
  if (vanishes) await link.plug();
  const others = await lab.lines(all);
  const others6 = await lab.lines(all6);

  await link.tell('up');
  const saved = (await lab.state()).savedDefaults;
  if (saved.length > 0) displaced.tables++;
  for (const [family, here] of Object.entries({ inet: others, inet6: others6 })) {
    const lines = saved.filter(entry => entry.family === family).map(({ route }) => route);
    const now = (await lab.lines(family === 'inet' ? all : all6)).filter(line => !/ proto 173\b/.test(line));
    t.same(
      now,
      here.filter(line => !lines.some(route => sameWords(route, line))),
      `${about}${family}: of others, only what is saved is gone`,
    );
    t.equal(here.length - now.length, lines.length, `${about}${family}: and all of that`);
  }

  await courses[story.course]?.(link);
  await lab.until(async () => (await lab.table()) === before, 1500).catch(() => undefined);
  t.equal(await lab.table(), before, `${about}byte for byte as before`);
}

const all = '-4 -o route show table all';
const all6 = '-6 -o route show table all';
const protocols = ['boot', 'dhcp', 'static', '211', 'bird', 'ra'];
const flush = ['main', '77'].flatMap(table =>
  protocols.map(protocol => `route flush table ${table} proto ${protocol}`),
);

/** The same route in the words of the state file and of `ip -o route`. */
function sameWords(saved: string, line: string): boolean {
  const words = (text: string) =>
    text.replaceAll('\\', ' ').replace('::/0', 'default').split(/\s+/).sort().join(' ');
  return words(saved) === words(line);
}

/** ppp0, and what pppd says of it; straight to the socket, because a hook takes longer than all the rest. */
class TestLink {
  readonly lab: Lab;
  mode = 'none';
  isPlugged = false;

  constructor(lab: Lab) {
    this.lab = lab;
  }

  async plug(): Promise<void> {
    if (this.isPlugged) return;
    await this.lab.connect('ppp0');
    await this.lab.connect6('ppp0');
    this.isPlugged = true;
  }

  async unplug(): Promise<void> {
    if (this.isPlugged) await this.lab.ip('link del ppp0');
    this.isPlugged = false;
  }

  /** Takes away every route that a table before has made, and makes these. */
  async load({ inet, inet6 }: Story['table']): Promise<void> {
    for (const [family, routes] of Object.entries({ '-4': inet, '-6': inet6 })) {
      const name = `commands${family}`;
      await this.lab.write(name, [...flush, ...routes, ''].join('\n'));
      // What it does not take is not part of the table.
      const script = `ip ${family} -force -batch ${join(this.lab.directory, name)} 2>/dev/null || true`;
      await this.lab.run('/bin/sh', '-c', script);
    }
  }

  async tell(what: 'up' | 'down'): Promise<void> {
    const replies = await Promise.all([
      this.lab.say(this.#event(`ip-${what}`, 'local=10.99.0.2\nremote=10.99.0.1')),
      this.lab.say(this.#event(`ipv6-${what}`, `local=${ends6.local}\nremote=${ends6.remote}`)),
    ]);
    for (const reply of replies) if (!reply.startsWith('ok ')) throw new Error(reply);
  }

  #event(name: string, ends: string): string {
    return `version=1\nevent=${name}\ninterface=ppp0\n${ends}\nipparam=${this.mode}\npid=4711\n\n`;
  }
}

/** Choices that are the same for the same seed (mulberry32). */
function chooser(seed: number): Choose {
  let state = seed >>> 0;
  return from => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    const fraction = ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    return from[Math.floor(fraction * from.length)] as (typeof from)[number];
  };
}
