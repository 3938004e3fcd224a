// E7: a pppd in a network namespace of its own runs the hooks of the machine, and its ppp0 is not ours.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onLink, scenario } from './lab.ts';

const hooks = fileURLToPath(new URL('../../hooks', import.meta.url));
const elsewhere = /another network namespace \(net:\[\d+\]\)$/;

scenario('E7. events of a ppp0 in another network namespace are ignored, and said', async (lab, t) => {
  await lab.machine();
  const before = await lab.table();
  const call = ['ppp0', '/dev/pts/3', '115200', '10.99.0.2', '10.99.0.1', 'work'];
  const environment = [`RUNTIME_DIRECTORY=${join(lab.directory, 'run')}`, 'PPPD_PID=4711'];
  const tell = (event: string) =>
    lab.run('unshare', '--net', 'env', '-i', ...environment, join(hooks, event), ...call);

  await lab.connect('ppp0');
  const connected = await lab.table();
  await tell('ip-up');
  t.equal(await lab.table(), connected, 'an interface of the same name is here, and it is left alone');
  await lab.says(new RegExp(`^notice: ip-up of ppp0: nothing to do, ppp0 is in ${elsewhere.source}`));
  t.same((await lab.status()).links, []);

  await lab.fine(lab.hook('ip-up', 'ppp0'));
  await lab.shows(onLink);
  await tell('ip-down');
  await lab.says(new RegExp(`^notice: ip-down of ppp0: nothing to do, ppp0 is in ${elsewhere.source}`));
  await lab.shows(onLink, 'our link stays up');

  await lab.stopDaemon('SIGKILL');
  await tell('ip-down');
  await lab.startDaemon();
  await lab.shows(onLink, 'from the spool as well');
  await lab.down('ppp0');
  t.equal(await lab.table(), before);
});
