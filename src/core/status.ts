import type { Decision } from './decide.ts';
import { families } from './demand.ts';
import type { Link } from './link.ts';
import { modes } from './modes/index.ts';

/** The one line of `systemctl status`: what is wrong, in the sentences given, and then what holds. */
export function statusLine(
  links: readonly Link[],
  decision: Decision | undefined,
  troubles: readonly string[],
): string {
  const parts = [
    ...(troubles.length === 0 ? [] : [`degraded: ${troubles.join('; ')}`]),
    ...(links.length === 0 ? ['no link is up'] : links.map(link => linkLine(link, decision))),
    ...savedLine(decision),
  ];
  return parts.join('; ').replaceAll(/[\n\r]/g, ' ');
}

/** What is true of one link, as `work: ppp0 up, default via ppp0`. */
export function linkLine(link: Link, decision: Decision | undefined): string {
  const name = link.profile === undefined ? 'unmanaged' : link.profile.name;
  const active = decision?.demand.active.find(candidate => candidate.link.order === link.order);
  if (link.profile === undefined) return `${name}: ${link.interface} left alone`;
  if (link.released === true) return `${name}: ${link.interface} up, released by the administrator`;
  if (active?.dark === true || link.lost === true)
    return `${name}: ${link.interface} is ${link.lost === true ? 'lost' : 'down'}, traffic stops until it returns (ppp-routectl restore lifts this)`;
  if (active === undefined) return `${name}: ${link.interface} is down`;
  const carries = families.filter(
    family => decision?.demand.carriers.get(family)?.link.ifindex === link.ifindex,
  );
  const through = carries.map(family => (family === 'inet' ? 'default' : 'IPv6 default')).join(' and ');
  const table = modes[link.profile['default-route']].table === 'own' ? ' in its own table' : '';
  const networks = link.profile.networks.length > 0 ? `, networks ${link.profile.networks.join(' ')}` : '';
  return `${name}: ${link.interface} up${carries.length > 0 ? `, ${through} via ${link.interface}${table}` : ''}${networks}`;
}

function savedLine(decision: Decision | undefined): string[] {
  const saved = decision?.state.savedDefaults ?? [];
  return saved.length === 0 ? [] : [`saved: ${saved.map(({ route }) => route).join(', ')}`];
}
