// There is no moment without a default route: a sender at full speed sees no error whatever a link does.
import type { Test } from 'tap';
import { type Lab, linkAlone, onLink, scenario } from './lab.ts';

const ups = 50;

const profile = (mode: string) => `
  [link.work]
  default-route = "${mode}"
  server = "203.0.113.5"
`;

scenario(`no packet without a route through ${ups} ups and downs`, async (lab, t) => {
  await machine(lab);
  const stopSender = await startSender(lab);
  for (let time = 1; time <= ups; time++) {
    await lab.fine(lab.hook('ip-up', 'ppp0'));
    await lab.shows(onLink);
    await lab.fine(lab.hook('ip-down', 'ppp0'));
    await lab.shows(linkAlone);
  }
  await sawNoError(t, stopSender);
});

scenario('no packet without a route while one mode takes the place of another', async (lab, t) => {
  await machine(lab);
  const stopSender = await startSender(lab);
  await lab.fine(lab.hook('ip-up', 'ppp0'));
  for (const mode of [
    'metric',
    'replace',
    'half',
    'replace',
    'table',
    'replace',
    'none',
    'half',
    'table',
    'metric',
  ]) {
    await lab.configure(profile(mode));
    t.equal(await lab.deviceTo('198.51.100.7'), mode === 'none' ? 'eth0' : 'ppp0', mode);
    await lab.fine(lab.hook('ip-down', 'ppp0'));
    await lab.fine(lab.hook('ip-up', 'ppp0'));
  }
  await lab.fine(lab.hook('ip-down', 'ppp0'));
  await sawNoError(t, stopSender);
});

/** The gateway has an address on the wire, so that no send waits for ARP, and the link stays where it is. */
async function machine(lab: Lab): Promise<void> {
  await lab.machine({
    commands: ['neighbour add 192.168.1.1 lladdr 02:00:00:00:00:01 nud permanent dev eth0'],
    profiles: profile('replace'),
  });
  await lab.connect('ppp0');
  await lab.ip('link set ppp0 arp off');
}

/** Returns how to stop it: with how many datagrams it sent, and the errors if there were any. */
async function startSender(lab: Lab): Promise<() => Promise<string>> {
  const sender = lab.start(['perl', `${import.meta.dirname}/sender.pl`, '198.51.100.7']);
  await new Promise(resolve => sender.stdout.once('data', resolve));
  return async () => {
    sender.stdin.end();
    return (
      String((await sender).stdout)
        .split('\n')
        .at(-1) ?? ''
    );
  };
}

async function sawNoError(t: Test, stopSender: () => Promise<string>): Promise<void> {
  const said = await stopSender();
  t.match(said, /^\d+$/, 'no send failed');
  t.ok(Number.parseInt(said, 10) > 50_000, `${said} datagrams`);
}
