// The two commands that a newcomer types, as root of a plain container: a guest with a kernel of its own takes over.
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import t from 'tap';
import { form } from '../form.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

t.test('the container is a plain one', async t => {
  for (const argv of [
    ['unshare', '--net', 'true'],
    ['unshare', '--user', '--map-root-user', '--net', 'true'],
    ['ip', 'link', 'add', 'x0', 'type', 'dummy'],
    ['test', '-e', '/dev/net/tun'],
  ])
    t.not((await inContainer(argv)).exitCode, 0, argv.join(' '));
});

t.test('npm run demo', async t => {
  const { exitCode, stdout, stderr } = await inContainer(['npm', 'run', '--silent', 'demo']);
  t.equal(exitCode, 0, stderr);
  t.match(stdout, /^no network namespaces .*: the demo runs in User-Mode Linux, with two real pppds$/m);
  t.match(stdout, /\$ pppd call work\n[\s\S]*ip-up of ppp0: 10\.99\.0\.2 to 10\.99\.0\.1, profile work/);
  t.match(
    stdout,
    /while the link is up[\s\S]*default dev ppp0[\s\S]*69\.90\.184\.209 via 192\.168\.1\.1 dev wlp2s0/,
  );
  t.match(stdout, /equal: `ip -d route show table all` is byte for byte what it was/);
});

t.test('npm test', { skip: form === 'short' && 'only in the whole form' }, async t => {
  const { exitCode, stdout, stderr } = await inContainer(['npm', 'test']);
  t.equal(exitCode, 0, `${stdout}\n${stderr}`);
  for (const tier of ['pure', 'hooks', 'netns', 'reliability', 'pppd'])
    t.match(stdout, new RegExp(`^${tier} +passed `, 'm'), `${tier} ran`);
  for (const tier of ['netns', 'reliability', 'pppd'])
    t.match(
      stdout,
      new RegExp(`^${tier} .* runs in a guest: no network namespaces`, 'm'),
      `${tier} ran in a guest`,
    );
  for (const tier of ['systemd', 'bench', 'container'])
    t.match(
      stdout,
      new RegExp(`^${tier} +NOT RUN +no network namespaces`, 'm'),
      `${tier} says why it did not`,
    );
});

/** Outside of CI, where a tier may be missing. */
function inContainer(argv: string[]) {
  const { CI, ...env } = process.env;
  return execa(fileURLToPath(new URL('plain-container', import.meta.url)), argv, {
    cwd: root,
    reject: false,
    extendEnv: false,
    env: { ...env, NO_COLOR: '1', TEST_FORM: undefined },
  });
}
