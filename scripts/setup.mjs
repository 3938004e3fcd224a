// setup [--no-build] [--root DIR [--distribution NAME]]: installs ppp-routed for good. Run twice, it does what once does.
// Needs nothing but Node.js: it runs before anything is installed. unsetup.mjs takes every trace away.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { attempt, run } from './install/command.mjs';
import { distributions, planHooks } from './install/dispatcher.mjs';
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
import { findPrograms, pppdPaths, requireIp } from './install/requirements.mjs';
import { Trouble, tell, withTrouble } from './install/trouble.mjs';

const usage = `Usage: npm run setup [-- OPTION…]
  --no-build            install dist/ as it stands
  --root DIR            only lay the files out under DIR, for a package or an image; nothing is started
  --distribution NAME   whose pppd is to run the hooks, where neither its scripts nor an os-release are under DIR; if it is
                        not given, this machine's: ${distributions.join(', ')}`;

await tell('setup', () => {
  const { root, isStaging, build, distribution } = readOptions(usage);
  if (!isStaging) {
    requireRootAndSystemd('npm run setup');
    requireIp();
  }
  const programs = isStaging ? { node: '/usr/bin/node', perl: '/usr/bin/perl' } : findPrograms();
  if (build) buildPrograms();
  requireSources();

  const { hooks, warnings } = planHooks(root, distribution);
  if (root !== '') withTrouble(`cannot make ${root}`, () => mkdirSync(root, { recursive: true }));
  const entries = [...layout(programs), ...hooks];
  const files = new Files(root);
  for (const entry of entries) files.place(entry);
  files.deleteAllBut(entries);
  for (const warning of warnings) console.warn(`setup: warning: ${warning}`);
  if (isStaging) return;
  if (!pppdPaths.some(path => existsSync(path)))
    console.warn(
      'setup: warning: pppd is not installed; run setup again when it is, so that its scripts call us',
    );

  start(files.changed);
  if (files.changed.has(catalog)) updateCatalog();
  adviseNetworkd(files.changed);
  console.log(
    `ppp-routed runs${warnings.length > 0 ? ', but see the warnings above' : ''}. Say what your links should do in ${configuration}/ppp-routed.toml; ` +
      'see it with `ppp-routectl status`',
  );
});

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
