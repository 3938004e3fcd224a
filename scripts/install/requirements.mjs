// What the machine must have; nothing is installed where it is missing.
import { existsSync, realpathSync } from 'node:fs';
import { Trouble } from './trouble.mjs';

/** The programs whose paths are written into what is installed. */
export function findPrograms() {
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

/** Where ppp-routed.service may run it. */
export function requireIp(root = '') {
  if (['/usr/bin/ip', '/usr/sbin/ip', '/bin/ip', '/sbin/ip'].some(path => existsSync(root + path))) return;
  throw new Trouble({
    what: 'cannot change routes',
    why: 'ip is missing, which the service does it with',
    todo: 'Install iproute2 (Debian: apt-get install iproute2) and run setup again',
  });
}

export const pppdPaths = ['/usr/sbin/pppd', '/usr/local/sbin/pppd'];

function isThisNode(path) {
  return existsSync(path) && realpathSync(path) === process.execPath;
}
