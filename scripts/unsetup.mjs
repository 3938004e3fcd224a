// unsetup [--force] [--root DIR]: puts the uplink back and takes away everything that setup and the service have left.
import { existsSync, readFileSync } from 'node:fs';
import { attempt, run } from './install/command.mjs';
import { Files } from './install/files.mjs';
import { configuration, library, units, user } from './install/layout.mjs';
import { readOptions, requireRootAndSystemd } from './install/options.mjs';
import { Trouble, tell } from './install/trouble.mjs';

const usage = `Usage: npm run unsetup [-- OPTION…]
  --force      take everything away, also where the uplink cannot be put back
  --root DIR   only delete the files that setup --root DIR laid out`;

await tell('unsetup', () => {
  const { root, isStaging, force } = readOptions(usage);
  if (!isStaging) {
    requireRootAndSystemd('npm run unsetup');
    restoreUplink(force);
    stop();
  }
  const files = new Files(root);
  files.deleteTree(configuration);
  files.deleteTree('/var/lib/ppp-routed');
  files.deleteTree('/run/ppp-routed');
  if (!isStaging) deleteUser();
  files.deleteAll();
  if (isStaging) return;
  run('systemctl', ['daemon-reload'], 'Run it by hand');
  attempt('journalctl', ['--update-catalog']);
});

// While the sockets are there a dead daemon is started by this, and finds the saved routes in its state file.
function restoreUplink(force) {
  const tool = `${library}/ppp-routectl.js`;
  if (!existsSync(tool)) return;
  const { status, why } = attempt(process.execPath, [tool, 'restore']);
  if (status === 0) return;
  const saved = savedCommands().map(command => `\n  It was: ${command}`);
  if (force) return console.warn(`unsetup: warning: the uplink is not put back: ${why}${saved.join('')}`);
  throw new Trouble({
    what: 'the uplink is not put back, so nothing was taken away',
    why,
    todo: `Put that right and run unsetup again; or take everything away all the same, with --force, and look at \`ip route\`${saved.join('')}`,
  });
}

/** What a person can type to have the saved defaults back. */
function savedCommands() {
  try {
    const { savedDefaults } = JSON.parse(readFileSync('/run/ppp-routed/state/state.json', 'utf8'));
    return savedDefaults.map(
      ({ family, route }) => `ip ${family === 'inet6' ? '-6 ' : ''}route add ${route}`,
    );
  } catch {
    return [];
  }
}

function stop() {
  const known = units.filter(unit => attempt('systemctl', ['cat', unit]).status === 0);
  if (known.length === 0) return;
  run('systemctl', ['disable', '--quiet', '--now', ...known], 'Stop the units by hand and run unsetup again');
  attempt('systemctl', ['reset-failed', ...known]);
}

function deleteUser() {
  if (attempt('getent', ['passwd', user]).status === 0) {
    console.log(`deleting user ${user}`);
    run('userdel', [user], 'Delete the user by hand and run unsetup again');
  }
  // userdel takes the group along unless somebody else is in it.
  if (attempt('getent', ['group', user]).status === 0) {
    console.log(`deleting group ${user}`);
    run('groupdel', [user], 'Delete the group by hand and run unsetup again');
  }
}
