import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { actions, library } from './layout.mjs';

// Sorts before Debian's 0000usepeerdns and Arch's 00-dns.sh: a server's name is looked up with the resolver that worked
// when the link was dialled, and hooks that run after ours find the routes in place. No dot: run-parts skips those.
const name = '00-00-ppp-routed';

/**
 * How pppd's events reach us here, one entry an action: { path, link } for a directory that is looped over,
 * { path, line } for a script that gets a line of ours; and warnings about what would keep them from coming.
 */
export function planHooks(root) {
  const warnings = [];
  const hooks = actions.map(action => {
    const hook = `${library}/hooks/${action}`;
    const line = `${hook} "$@" # ppp-routed put this line here; its unsetup takes it away`;
    const directory = `/etc/ppp/${action}.d`;
    const local = `/etc/ppp/${action}.local`;
    switch (recogniseDispatcher(root, action)) {
      case 'run-parts':
        if (isExecutable(root + local))
          warnings.push(
            `${local} is executable, so pppd's script runs it instead of ${directory}: links will not be seen. ` +
              `Make it not executable, or put this line into it: ${hook} "$@"`,
          );
        return { path: `${directory}/${name}`, link: hook };
      case 'directory':
        return { path: `${directory}/${name}`, link: hook };
      case 'directory of *.sh':
        return { path: `${directory}/${name}.sh`, link: hook };
      case 'local script':
        if (existsSync(root + local) && !isExecutable(root + local))
          warnings.push(
            `${local} is not executable, so pppd's script leaves it alone. Run: chmod +x ${local}`,
          );
        return { path: local, line };
      case 'own script':
        return { path: `/etc/ppp/${action}`, line };
      default:
        return { path: `/etc/ppp/${action}`, link: hook };
    }
  });
  return { hooks, warnings };
}

/** Every script that an earlier setup may have given a line. */
export const scriptsWithLines = actions.flatMap(action => [`/etc/ppp/${action}`, `/etc/ppp/${action}.local`]);

// What the script does says more than the distribution's name: administrators replace it, derivatives change it.
function recogniseDispatcher(root, action) {
  const path = `${root}/etc/ppp/${action}`;
  if (!existsSync(path)) return dispatcherOfDistribution(root);
  if (realpathSync(path) === `${library}/hooks/${action}`) return 'none';
  const code = readFileSync(path, 'utf8').replace(/^\s*#.*$/gm, '');
  if (/\brun-parts\b/.test(code)) return 'run-parts';
  if (/\.d["'}]*\/\*\.sh\b/.test(code)) return 'directory of *.sh';
  if (/(?<!\b(?:init|rc|conf))\.d\b/.test(code)) return 'directory';
  if (/\.local\b/.test(code)) return 'local script';
  return 'own script';
}

// pppd is not installed yet, or came without scripts.
function dispatcherOfDistribution(root) {
  const file = ['/etc/os-release', '/usr/lib/os-release']
    .map(path => root + path)
    .find(path => existsSync(path));
  const release = file ? readFileSync(file, 'utf8') : '';
  const ids = [...release.matchAll(/^ID(?:_LIKE)?="?([^"\n]*)"?$/gm)].flatMap(match => match[1].split(' '));
  if (ids.some(id => ['debian', 'ubuntu'].includes(id))) return 'run-parts';
  if (ids.some(id => ['arch', 'void', 'gentoo'].includes(id))) return 'directory of *.sh';
  if (ids.some(id => ['fedora', 'rhel', 'centos'].includes(id))) return 'local script';
  if (ids.some(id => ['suse', 'opensuse'].includes(id))) return 'directory';
  return 'none';
}

function isExecutable(path) {
  return existsSync(path) && (statSync(path).mode & 0o111) !== 0;
}
