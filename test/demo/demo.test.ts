import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import t from 'tap';

const root = fileURLToPath(new URL('../..', import.meta.url));

t.test('npm run demo shows the main job and finds the tables equal', async t => {
  const { stdout, stderr, exitCode } = await execa('npm', ['run', '--silent', 'demo'], {
    cwd: root,
    reject: false,
    env: { NO_COLOR: '1' },
  });
  t.equal(exitCode, 0, stderr);
  t.match(stdout, /The table before[\s\S]*default via 192\.168\.1\.1 dev wlp2s0 metric 302/);
  t.match(
    stdout,
    /while the link is up[\s\S]*default dev ppp0[\s\S]*69\.90\.184\.209 via 192\.168\.1\.1 dev wlp2s0/,
  );
  t.match(stdout, /savedDefaults: default via 192\.168\.1\.1 dev wlp2s0 metric 302/);
  t.match(stdout, /equal: `ip -d route show table all` is byte for byte what it was/);
});
