// An ordinary up and down costs no reading of whole tables, in any mode: all that the kernel does by itself, and all that the
// daemon has it do, is known from what `ip monitor` prints.
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ends6, type Lab, scenario } from './lab.ts';

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const machine = {
  addresses: ['192.168.1.10/24 dev eth0', '2001:db8:1::2/64 dev eth0'],
  routes6: `
    2001:db8:1::/64 dev eth0 proto kernel metric 256 pref medium
    default via fe80::1 dev eth0 proto static metric 1024 pref medium
  `,
};

for (const mode of ['replace', 'metric', 'half', 'table', 'none'])
  for (const onLoss of ['restore', 'block'])
    scenario(`no reading in mode ${mode}, on-loss ${onLoss}`, async (lab, t) => {
      const profiles = `
        [link.work]
        default-route = "${mode}"
        server = "203.0.113.5"
        networks = ["172.20.0.0/16"]
        exclude = ["10.0.0.0/8"]
        ipv6 = "route"
        on-loss = "${onLoss}"
      `;
      await lab.machine({ ...machine, profiles, daemon: false });
      await lab.startDaemon({ PATH: await loggingPath(lab) });
      // Where the link was lost before, the kernel refuses ours in the place of an unreachable route, and that is looked at.
      for (const round of onLoss === 'restore' ? [1, 2] : [1]) {
        const before = await readings(lab);
        await lab.connect('ppp0');
        await lab.connect6('ppp0');
        await lab.fine(lab.hook('ip-up', 'ppp0'));
        await lab.fine(lab.hook('ipv6-up', 'ppp0', ends6));
        t.equal((await readings(lab)) - before, 0, `${round}: up`);
        await lab.ip('link set ppp0 down');
        await lab.fine(lab.hook('ipv6-down', 'ppp0', ends6));
        await lab.fine(lab.hook('ip-down', 'ppp0'));
        await lab.ip('link del ppp0');
        t.equal((await readings(lab)) - before, 0, `${round}: down`);
      }
    });

/** A PATH whose `ip` writes down what its batches are asked. */
async function loggingPath(lab: Lab): Promise<string> {
  const directory = join(lab.directory, 'bin');
  await mkdir(directory);
  const lines = [
    '#!/bin/sh',
    `PATH=${path}`,
    'case "$*" in',
    '  *monitor*) exec ip "$@" ;;',
    `  *) tee -a ${lab.directory}/asked | ip "$@" ;;`,
    'esac',
  ];
  await writeFile(join(directory, 'ip'), `${lines.join('\n')}\n`);
  await chmod(join(directory, 'ip'), 0o755);
  return `${directory}:${path}`;
}

/** How often whole tables have been read. */
async function readings(lab: Lab): Promise<number> {
  const asked = await readFile(join(lab.directory, 'asked'), 'utf8');
  return asked.split('\n').filter(line => line === 'link show').length;
}
