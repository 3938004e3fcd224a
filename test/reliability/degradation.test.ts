// What is around the daemon is not whole: the journal, the clock, the configuration, /proc.
import t from 'tap';
import { base, onLink, scenario } from '../netns/lab.ts';
import { startBy, statusThat } from './daemon.ts';
import { sayFigures } from './figure.ts';

let rows = 0;
t.teardown(() => sayFigures(t, 'degradation', { rows }));

scenario('the journal is gone: every line is an EPIPE', async (lab, t) => {
  await lab.machine({ daemon: false });
  const fifo = `${lab.directory}/journal`;
  await lab.run('mkfifo', fifo);
  const daemon = startBy(lab, `exec 3<>${fifo} 4>${fifo} 3<&-; exec "$@" >&4 4>&-`);
  await statusThat(lab, ({ degraded }) => !degraded, 5000);
  await lab.up('ppp0');
  await lab.shows(onLink);
  await lab.down('ppp0');
  await lab.shows(base);
  t.equal(daemon.exitCode, null, 'it goes on');
  rows++;
});
