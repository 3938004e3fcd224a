// Whatever bytes come, nothing falls over, nothing hangs, and ip is told nothing that was not meant. Input N of a target
// is the same for the same seed: TEST_SEED. TEST_COUNT is for how many seconds each target is given inputs.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { countOf, seed } from '../form.ts';
import { scenario } from '../netns/lab.ts';
import { sayFigures } from './figure.ts';
import { targets } from './fuzz-targets.ts';
import type { Order, Result } from './fuzz-worker.ts';
import { whyNotMeant } from './ip-words.ts';
import { mutate } from './mutation.ts';
import { type Draw, drawing } from './random.ts';

const seconds = countOf({ short: 2, whole: 5, long: 60 });
/** How long one input may take, in milliseconds. */
const deadline = 5000;

let worker: Worker | undefined;
t.teardown(() => worker?.terminate());

for (const target of Object.keys(targets)) {
  void t.test(target, async t => {
    const result = await fuzz(target);
    t.equal(result.failed, undefined, `no input broke a promise (seed ${seed})`, { failed: result.failed });
    t.ok(result.inputs > seconds * 10, `${result.inputs} inputs`);
    sayFigures(t, `fuzz ${target.replaceAll(' ', '-')}`, {
      seconds,
      seed,
      inputs: result.inputs,
      failed: result.failed === undefined ? 0 : 1,
      'slowest-ms': result.slowest.toFixed(0),
    });
  });
}

/** Names that the kernel takes, and ip on its way to the kernel may not; and those that it would make of them. */
const oddNames = ['up#link', 'a#b', "it's", '"q"', 'x\\', 'dev', 'help', 'ü0', '-batch'];
const traps = ['up', 'a', 'q', 'x', 'it'];
const modes = ['replace', 'metric', 'half', 'table', 'none'];
const profiles = modes.map(
  mode => `
    [link.${mode}]
    default-route = "${mode}"
    networks = ["193.6.37.0/24"]
    exclude = ["198.18.0.0/15"]
    proxy-arp = "${mode === 'none' ? 'dev' : 'auto'}"
  `,
);
const messages = seconds * 150;

scenario(`the running daemon is told ${messages} things`, async (lab, t) => {
  await lab.machine({ profiles: profiles.join(''), daemon: false });
  await mkdir(join(lab.directory, 'bin'));
  const record = join(lab.directory, 'told');
  await writeFile(
    join(lab.directory, 'bin/ip'),
    `#!/bin/sh\ncase "$*" in *-batch*) tee -a ${record} | /usr/sbin/ip "$@" ;; *) exec /usr/sbin/ip "$@" ;; esac\n`,
    { mode: 0o755 },
  );
  // What the kernel does by itself for IPv6 takes its time, and would be taken for ours.
  await lab.run('/bin/sh', '-c', 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6');
  for (const [i, name] of [...oddNames, ...traps].entries()) {
    await lab.run('ip', 'link', 'add', 'name', `far${i}`, 'type', 'veth', 'peer', 'name', name);
    await lab.run('ip', 'address', 'add', `10.${100 + i}.0.2/24`, 'dev', name);
    await lab.run('ip', 'link', 'set', `far${i}`, 'up');
    await lab.run('ip', 'link', 'set', 'dev', name, 'up');
  }
  // The better uplink has a name that cannot be told.
  await lab.run('ip', 'route', 'add', 'default', 'via', '10.100.0.1', 'dev', 'up#link', 'metric', '50');
  const links = ['ppp0', 'ppp1'];
  for (const name of links) await lab.connect(name);
  const before = await lab.table();
  await lab.startDaemon({ PATH: `${lab.directory}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin` });

  const draw = drawing(seed);
  const devices = ['lo', 'eth0', ...links, ...oddNames, ...traps];
  const replies: Record<string, number> = {};
  for (let message = 0; message < messages; message++) {
    const event = eventFrom(draw, devices);
    const bytes = draw(3) === 0 ? mutate([event, eventFrom(draw, devices)], draw) : event;
    const reply = await lab.say(bytes);
    t.match(reply, /^(ok|error [A-Z]+) [^\n]*\n$/, JSON.stringify(bytes.toString('latin1')));
    const kind = /^ok|^error [A-Z]+/.exec(reply)?.[0] ?? 'none';
    replies[kind] = (replies[kind] ?? 0) + 1;
  }
  const gone = new Set([...links, ...traps, 'eth0', 'lo', 'dev', 'help']);
  for (const name of gone)
    for (const family of ['ip', 'ipv6'])
      await lab.say(`version=1\nevent=${family}-down\ninterface=${name}\n\n`);
  t.equal((await lab.status()).links.length, 0, 'every link could be brought down');
  t.equal(await lab.table(), before, 'byte for byte as before');

  const told = (await readFile(record, 'utf8')).split('\n').slice(0, -1);
  const bad = told.flatMap(line => whyNotMeant(line, new Set(devices)) ?? []);
  t.same(bad, [], 'ip was told nothing that was not meant');
  const changes = told.filter(line => /^(route|rule|neigh) (prepend|append|add|del)/.test(line)).length;
  t.ok(changes > messages / 10, `${changes} changes`);
  sayFigures(t, 'fuzz daemon', {
    messages,
    seed,
    'lines-told': told.length,
    changes,
    'not-meant': bad.length,
    ...Object.fromEntries(Object.entries(replies).map(([kind, count]) => [kind.replace(' ', '-'), count])),
  });
});

/** An event that may come of a pppd that is not its own master. */
function eventFrom(draw: Draw, devices: readonly string[]): string {
  const any = (from: readonly string[]) => from[draw(from.length)] ?? '';
  const odd = [
    '$(reboot)',
    '-batch',
    '#',
    '\\',
    '"',
    "'",
    'x dev lo',
    '../..',
    '*',
    'ő',
    ' ',
    'table 255',
    '%s%n',
    ';',
  ];
  const address = () =>
    any(['10.99.0.1', '10.99.0.2', '192.168.1.77', '0.0.0.0', '255.255.255.255', '127.0.0.1', '1']);
  const address6 = () =>
    any(['fe80::8:1', '::', '::1', '2001:db8::1', 'ff02::1', '::ffff:1.2.3.4', 'fe80::1%eth0']);
  const name = any(['ip-up', 'ip-up', 'ip-down', 'ipv6-up', 'ipv6-down']);
  const end = name.startsWith('ipv6') ? address6 : address;
  const server = any([
    '203.0.113.5',
    '203.0.113.6',
    '-batch',
    '203.0.113.5#',
    '"203.0.113.5"',
    '1.2.3.4/0',
    '$(reboot)',
  ]);
  const fields = [
    `event=${name}`,
    `interface=${draw(3) > 0 ? any(['ppp0', 'ppp1', 'up', 'dev']) : any(devices)}`,
    `local=${end()}`,
    `remote=${end()}`,
    `ipparam=${any([...modes, ...modes, ...odd])}`,
    ...(draw(2) === 0 ? [`peername=${any(odd)}${any(odd)}`, `linkname=${any(odd)}`, `call=${any(odd)}`] : []),
    `peer-option=${any(['pty "pptp', 'pptp_server', 'process pptp', 'process pptp: call manager for'])} ${server}`,
  ];
  return `version=1\n${fields.join('\n')}\n\n`;
}

function fuzz(target: string): Promise<Result> {
  const progress = new SharedArrayBuffer(4);
  const underWay = new Int32Array(progress);
  underWay[0] = -1; // until it has begun
  const order: Order = { target, seed, duration: seconds * 1000, progress };
  worker ??= new Worker(new URL('fuzz-worker.ts', import.meta.url));
  const current = worker;
  return new Promise((resolve, reject) => {
    let seen = -1;
    const timer = setInterval(() => {
      const input = Atomics.load(underWay, 0);
      if (input >= 0 && input === seen) {
        void current.terminate();
        worker = undefined;
        finish(() => reject(new Error(`input ${input} of ${target}, seed ${seed}, takes for ever`)));
      }
      seen = input;
    }, deadline);
    const finish = (settle: () => void) => {
      clearInterval(timer);
      current.off('message', onMessage).off('error', onError);
      settle();
    };
    const onMessage = (result: Result) => finish(() => resolve(result));
    const onError = (error: Error) => finish(() => reject(error));
    current.on('message', onMessage).on('error', onError);
    current.postMessage(order);
  });
}
