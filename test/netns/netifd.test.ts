// Row 14, OpenWrt: netifd's own script runs the files of ip-up.d, and netifd routes the link.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { scenario } from './lab.ts';

const hooks = fileURLToPath(new URL('../../hooks', import.meta.url));

scenario('14. a link of netifd’s, which a profile would match', async (lab, t) => {
  await lab.machine({
    profiles: `
      [link.wan]
      default-route = "replace"
      server = "203.0.113.5"
    `,
  });
  await lab.write('lib/netifd/ppp-up', `for script in ${hooks}/ip-up; do "$script" "$@"; done\n`);
  await lab.connect('ppp0');
  const before = await lab.table();
  const call = ['ppp0', 'eth0', '0', '10.99.0.2', '10.99.0.1', 'wan'];
  const environment = [`RUNTIME_DIRECTORY=${join(lab.directory, 'run')}`, 'PPPD_PID=4711'];
  await lab.run('env', '-i', ...environment, 'sh', join(lab.directory, 'lib/netifd/ppp-up'), ...call);
  t.equal(await lab.table(), before, 'left alone');
  await lab.says(/^ip-up of ppp0: 10\.99\.0\.2 to 10\.99\.0\.1, left alone: another manager runs it$/);
  await lab.fine(lab.hook('ip-up', 'ppp0', { ipparam: 'wan' }));
  t.not(await lab.table(), before, 'the very link by another script is ours');
  await lab.down('ppp0', { ipparam: 'wan' });
  await lab.restored();
});
