// Where nothing happens, nothing is done to the kernel: nobody who listens to it hears of us.
import { setTimeout as sleep } from 'node:timers/promises';
import { scenario } from './lab.ts';

scenario(
  'a steady state is silent: the monitor, the journal, also while the watchdog is fed',
  async (lab, t) => {
    await lab.machine({ daemon: false });
    await lab.ip('link set lo up');
    // A quarter of a second: the watchdog asks for eight looks a second.
    await lab.startDaemon({ WATCHDOG_USEC: '250000' });
    await lab.up('ppp0', { ipparam: 'work' });
    // Two seconds after the last change the picture is compared with the kernel, once.
    await sleep(4000);
    const journal = lab.log().join('\n');
    let heard = '';
    const monitor = lab.start(['ip', '-o', 'monitor', 'label', 'link', 'address', 'route', 'rule']);
    monitor.stdout?.on('data', chunk => {
      heard += chunk;
    });
    await sleep(4000);
    t.equal(heard, '', 'nothing was done to the kernel');
    t.equal(lab.log().join('\n'), journal, 'nothing was said');
    await lab.ip('route add 198.51.100.0/24 dev eth0');
    await lab.until(() => heard.includes('198.51.100.0/24'), 2000);
    t.match(heard, '198.51.100.0/24', 'the monitor would have told');
  },
);
