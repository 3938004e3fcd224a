import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const project = fileURLToPath(new URL('../..', import.meta.url));
export const library = '/usr/lib/ppp-routed';
export const configuration = '/etc/ppp-routed';
/** What is enabled and started; the service last. */
export const units = [
  'ppp-routed.socket',
  'ppp-routed-control.socket',
  'ppp-routed-resolve.socket',
  'ppp-routed.service',
];
/** Started by their sockets. */
export const helperUnits = ['ppp-routed-resolve.service'];
export const unitDirectory = '/usr/lib/systemd/system';
export const sysusers = '/usr/lib/sysusers.d/ppp-routed.conf';
export const tmpfiles = '/usr/lib/tmpfiles.d/ppp-routed.conf';
export const catalog = '/usr/lib/systemd/catalog/ppp-routed.catalog';
export const user = 'ppp-routed';
export const actions = ['ip-up', 'ip-down', 'ipv6-up', 'ipv6-down'];
/** What the hooks load. */
export const reporter = ['report', 'exchange', 'spool', 'transport'];

/**
 * Everything that is installed whatever the distribution, hooks under the dispatcher's names excepted: entries of
 * { path, content, mode }, { path, link } or { path, directory }; `once` is written only where there is none.
 */
export function layout({ node, perl }) {
  return [
    ...['ppp-routed.js', 'ppp-routectl.js', 'ppp-routed-resolve.js'].map(name => ({
      path: `${library}/${name}`,
      // A node that is not in the PATH of sudo, or of a service, is found all the same.
      content: source(`dist/${name}`).replace(/^#!.*/, `#!${node}`),
      mode: 0o755,
    })),
    ...readdirSync(`${project}dist`)
      .filter(name => name.endsWith('.map'))
      .map(name => ({ path: `${library}/${name}`, content: source(`dist/${name}`), mode: 0o644 })),
    { path: `${library}/package.json`, content: source('dist/package.json'), mode: 0o644 },
    { path: `${library}/notify-exec.pl`, content: source('systemd/notify-exec.pl'), mode: 0o644 },
    // Before the hooks, which are silent where there is no reporter.
    ...reporter.map(name => ({ path: `${library}/${name}`, content: source(`hooks/${name}`), mode: 0o644 })),
    ...actions.map(action => ({
      path: `${library}/hooks/${action}`,
      content: source(`hooks/${action}`).replaceAll('/usr/bin/perl', perl),
      mode: 0o755,
    })),
    { path: '/usr/bin/ppp-routectl', link: '../lib/ppp-routed/ppp-routectl.js' },
    ...[...units, ...helperUnits].map(unit => ({
      path: `${unitDirectory}/${unit}`,
      content: source(`systemd/${unit}`).replaceAll('/usr/bin/node', node).replaceAll('/usr/bin/perl', perl),
      mode: 0o644,
    })),
    { path: sysusers, content: source('systemd/sysusers.conf'), mode: 0o644 },
    { path: tmpfiles, content: source('systemd/tmpfiles.conf'), mode: 0o644 },
    { path: catalog, content: source('systemd/ppp-routed.catalog'), mode: 0o644 },
    {
      path: '/usr/lib/systemd/networkd.conf.d/ppp-routed.conf',
      content: source('systemd/networkd.conf'),
      mode: 0o644,
    },
    {
      path: '/etc/iproute2/rt_protos.d/ppp-routed.conf',
      content: source('systemd/rt_protos.conf'),
      mode: 0o644,
    },
    { path: `${configuration}/links.d`, directory: true },
    {
      path: `${configuration}/ppp-routed.toml`,
      content: source('systemd/ppp-routed.toml'),
      mode: 0o644,
      once: true,
    },
  ];
}

function source(path) {
  return readFileSync(`${project}${path}`, 'utf8');
}
