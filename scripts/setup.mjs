// setup [--no-build] [--root DIR]: installs ppp-routed for good. Run twice, it does what once does.
// Needs nothing but Node.js: it runs before anything is installed. unsetup.mjs takes every trace away.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { attempt, run } from './install/command.mjs';
import { planHooks } from './install/dispatcher.mjs';
import { Files } from './install/files.mjs';
import {
  catalog,
  configuration,
  layout,
  library,
  project,
  sysusers,
  tmpfiles,
  unitDirectory,
  units,
} from './install/layout.mjs';
import { readOptions, requireRootAndSystemd } from './install/options.mjs';
import { Trouble, tell, withTrouble } from './install/trouble.mjs';

const usage = `Usage: npm run setup [-- OPTION…]
  --no-build   install dist/ as it stands
  --root DIR   only lay the files out under DIR, for a package or an image; nothing is started`;

await tell('setup', () => {
  const { root, isStaging, build } = readOptions(usage);
  if (!isStaging) requireRootAndSystemd('npm run setup');
  const programs = isStaging ? { node: '/usr/bin/node', perl: '/usr/bin/perl' } : findPrograms();
  if (build) buildPrograms();
  requireSources();

  const { hooks, warnings } = planHooks(root);
  if (isStaging) withTrouble(`cannot make ${root}`, () => mkdirSync(root, { recursive: true }));
  const entries = [...layout(programs), ...hooks];
  const files = new Files(root);
  for (const entry of entries) files.place(entry);
  files.deleteAllBut(entries);
  for (const warning of warnings) console.warn(`setup: warning: ${warning}`);
  if (isStaging) return;
  if (!['/usr/sbin/pppd', '/usr/local/sbin/pppd'].some(path => existsSync(path)))
    console.warn(
      'setup: warning: pppd is not installed; run setup again when it is, so that its scripts call us',
    );

  start(files.changed);
  if (files.changed.has(catalog)) updateCatalog();
  adviseNetworkd(files.changed);
  console.log(
    `ppp-routed runs. Say what your links should do in ${configuration}/ppp-routed.toml; ` +
      'see it with `ppp-routectl status`',
  );
});

function findPrograms() {
  // A stable name that leads to this very node survives its next upgrade; the resolved one may not.
  const node = ['/usr/bin/node', '/usr/local/bin/node'].find(isThisNode) ?? process.execPath;
  if (/^\/(?:home|root|run\/user)\//.test(process.execPath))
    throw new Trouble({
      what: 'cannot run the service',
      why: `Node.js is in a home directory (${process.execPath}), where a service does not look`,
      todo: 'Install Node.js 18.19 or later for everyone (Debian: apt-get install nodejs) and run setup with that one',
    });
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 18 || (major === 18 && minor < 19))
    throw new Trouble({
      what: 'cannot run the service',
      why: `Node.js ${process.versions.node} is too old`,
      todo: 'Install Node.js 18.19 or later',
    });
  const perl = ['/usr/bin/perl', '/usr/local/bin/perl', '/bin/perl'].find(path => existsSync(path));
  if (perl === undefined)
    throw new Trouble({
      what: 'cannot tell the service of links',
      why: 'perl is missing, which the hooks run in',
      todo: 'Install Perl (Debian: apt-get install perl) and run setup again',
    });
  return { node, perl };
}

function isThisNode(path) {
  return existsSync(path) && realpathSync(path) === process.execPath;
}

function buildPrograms() {
  const { status } = spawnSync(process.execPath, [`${project}scripts/bootstrap.mjs`], { stdio: 'inherit' });
  if (status === 0) return;
  throw new Trouble({
    what: 'cannot build ppp-routed',
    why: 'scripts/bootstrap.mjs failed (see above)',
    todo: 'Put that right and run setup again; nothing was installed',
  });
}

function requireSources() {
  const programs = ['ppp-routed.js', 'ppp-routectl.js', 'ppp-routed-resolve.js', 'package.json'];
  const missing = [...programs.map(name => `dist/${name}`), 'hooks/ip-up'].find(
    path => !existsSync(project + path),
  );
  if (missing)
    throw new Trouble({
      what: 'cannot install ppp-routed',
      why: `${project}${missing} is missing`,
      todo: 'Run `npm run build`, or setup without --no-build',
    });
}

function start(changed) {
  run(
    'systemd-sysusers',
    [sysusers],
    'Make a system user and a group named ppp-routed, then run setup again',
  );
  run('systemd-tmpfiles', ['--create', tmpfiles], 'Put that right and run setup again');
  run('systemctl', ['daemon-reload'], 'Put that right and run setup again');
  run('systemctl', ['enable', '--quiet', ...units], 'Put that right and run setup again');
  const isChanged = pattern => [...changed].some(path => pattern.test(path));
  const sockets = units.filter(unit => unit.endsWith('.socket'));
  const log = 'See `journalctl -b -u ppp-routed`, put that right and run setup again';
  // A socket that is restarted loses what waits in it: only when it has to be another one.
  if (isChanged(/\.socket$/)) run('systemctl', ['restart', ...sockets], log);
  const isProgramChanged = isChanged(new RegExp(`^${library}/[^/]*$|^${unitDirectory}/.*\\.service$`));
  run('systemctl', [isProgramChanged ? 'restart' : 'start', ...units.slice(-1)], log);
}

// Only `journalctl -x` knows less without it.
function updateCatalog() {
  const { status, why } = attempt('journalctl', ['--update-catalog']);
  if (status !== 0) console.warn(`setup: warning: journalctl --update-catalog failed: ${why}`);
}

function adviseNetworkd(changed) {
  if (![...changed].some(path => path.includes('/networkd.conf.d/'))) return;
  if (attempt('systemctl', ['is-active', '--quiet', 'systemd-networkd']).status !== 0) return;
  console.log('systemd-networkd keeps its hands off our routes once it has been restarted; a reboot does');
}
