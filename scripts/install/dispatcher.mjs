import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { actions, library } from './layout.mjs';
import { pppdPaths } from './requirements.mjs';
import { Trouble } from './trouble.mjs';

// Sorts before Debian's 0000usepeerdns and Arch's 00-dns.sh: a server's name is looked up with the resolver that worked
// when the link was dialled, and hooks that run after ours find the routes in place. No dot: run-parts skips those.
const name = '00-00-ppp-routed';

/** What each distribution's /etc/ppp/ip-up does; where it is none of these, `other`, pppd has no scripts but ours. */
const dispatchers = {
  arch: 'directory of *.sh',
  centos: 'local script',
  debian: 'run-parts',
  fedora: 'local script',
  gentoo: 'directory of *.sh',
  opensuse: 'directory',
  rhel: 'local script',
  suse: 'directory',
  ubuntu: 'run-parts',
  void: 'directory of *.sh',
  other: 'none',
};
export const distributions = Object.keys(dispatchers);

/**
 * How pppd's events reach us here, one entry an action: { path, link } for a directory that is looped over,
 * { path, line } for a script that gets a line of ours; and warnings about what would keep them from coming.
 */
export function planHooks(root, distribution) {
  const otherwise = dispatcherOfDistribution(root, distribution);
  const warnings = otherwise === 'none' ? [] : warningsOfMissingScripts(root);
  const hooks = actions.map(action => {
    const hook = `${library}/hooks/${action}`;
    const line = `${hook} "$@" # ppp-routed put this line here; its unsetup takes it away`;
    const directory = `/etc/ppp/${action}.d`;
    const local = `/etc/ppp/${action}.local`;
    switch (recogniseDispatcher(root, action) ?? otherwise) {
      case 'run-parts':
        if (isExecutable(root + local) && !readFileSync(root + local, 'utf8').includes(hook))
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
  if (!existsSync(path)) return undefined;
  if (realpathSync(path) === `${library}/hooks/${action}`) return 'none';
  const code = readFileSync(path, 'utf8').replace(/^\s*#.*$/gm, '');
  if (/\brun-parts\b/.test(code)) return 'run-parts';
  if (/\.d["'}]*\/\*\.sh\b/.test(code)) return 'directory of *.sh';
  if (/(?<!\b(?:init|rc|conf))\.d\b/.test(code)) return 'directory';
  if (/\.local\b/.test(code)) return 'local script';
  return 'own script';
}

// pppd is not installed yet, or came without scripts. A package is built where it will be installed.
function dispatcherOfDistribution(root, distribution) {
  if (distribution !== undefined) {
    if (Object.hasOwn(dispatchers, distribution)) return dispatchers[distribution];
    throw new Trouble({
      what: 'cannot lay out the hooks',
      why: `${distribution} is not known`,
      todo: `Name one of ${distributions.join(', ')}`,
    });
  }
  const file = [root, '']
    .flatMap(above => [`${above}/etc/os-release`, `${above}/usr/lib/os-release`])
    .find(path => existsSync(path));
  const release = file ? readFileSync(file, 'utf8') : '';
  const ids = [...release.matchAll(/^ID(?:_LIKE)?="?([^"\n]*)"?$/gm)].flatMap(match => match[1].split(' '));
  const known = ids.find(id => Object.hasOwn(dispatchers, id));
  return dispatchers[known ?? 'other'];
}

function warningsOfMissingScripts(root) {
  if (!pppdPaths.some(path => existsSync(root + path))) return [];
  const missing = actions.map(action => `/etc/ppp/${action}`).filter(path => !existsSync(root + path));
  if (missing.length === 0) return [];
  const are = missing.length === 1 ? 'is' : 'are';
  return [
    `${missing.join(', ')} ${are} missing, so pppd runs no hook: links will not be seen. Install pppd's own scripts ` +
      '(Debian: apt-get install --reinstall -o Dpkg::Options::=--force-confmiss ppp) again, then run setup again',
  ];
}

function isExecutable(path) {
  return existsSync(path) && (statSync(path).mode & 0o111) !== 0;
}
