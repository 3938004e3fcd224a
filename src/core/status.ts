import type { Decision } from './decide.ts';
import { families } from './demand.ts';
import type { LinkEvent } from './event.ts';
import type { Applied, Link } from './link.ts';
import { modes } from './modes/index.ts';
import { isOtherManagers } from './profile.ts';

/** The one line of `systemctl status`: what is wrong, in the sentences given, and then what holds. */
export function statusLine(
  links: readonly Link[],
  decision: Decision | undefined,
  troubles: readonly string[],
): string {
  const saved = decision?.state.savedDefaults.map(({ route }) => route) ?? [];
  const parts = [
    ...(troubles.length === 0 ? [] : [`degraded: ${troubles.join('; ')}`]),
    ...(links.length === 0 ? ['no link is up'] : links.map(link => linkLine(link, decision))),
    ...(saved.length === 0 ? [] : [`saved: ${saved.join(', ')}`]),
  ];
  return parts.join('; ').replaceAll(/[\n\r]/g, ' ');
}

/** What is true of one link, as `work: ppp0 up, default via ppp0`. */
export function linkLine(link: Link, decision: Decision | undefined): string {
  const { profile } = link;
  if (profile === undefined) return `unmanaged: ${link.interface} left alone`;
  const about = `${profile.name}: ${link.interface}`;
  if (link.released === true) return `${about} up, released by the administrator`;
  if (decision?.state.links.every(({ order }) => order !== link.order)) return `${about} up, not routed yet`;
  const active = decision?.demand.active.find(
    candidate => candidate.link.order === link.order && candidate.link.lost === link.lost,
  );
  if (active?.dark === true || link.lost === true) {
    const stops = link.inet === undefined ? 'IPv6 traffic stops' : 'traffic stops';
    return `${about} is ${link.lost === true ? 'lost' : 'down'}, ${stops} until it returns (ppp-routectl restore lifts this)`;
  }
  if (active === undefined) return `${about} is down`;
  const carries = families.filter(family => carriesDefault(link, family, decision));
  const table = modes[profile['default-route']].table === 'own' ? ' in its own table' : '';
  const through = carries.map(family => (family === 'inet' ? 'default' : 'IPv6 default')).join(' and ');
  return [
    `${about} up`,
    ...(carries.length > 0 ? [`${through} via ${link.interface}${table}`] : []),
    ...(profile.networks.length > 0 ? [`networks ${profile.networks.join(' ')}`] : []),
  ].join(', ');
}

/** Is this the link that has the default, and is the default really there? */
function carriesDefault(link: Link, family: 'inet' | 'inet6', decision: Decision | undefined): boolean {
  const missing = decision?.steps.some(
    step => step.kind === 'add-route' && step.purpose === 'default' && step.route.family === family,
  );
  return missing === false && decision?.demand.carriers.get(family)?.link.order === link.order;
}

/** What an event did, for the journal. */
export function eventLine(event: LinkEvent, applied: Pick<Applied, 'outcome' | 'because' | 'link'>): string {
  const { outcome, because, link } = applied;
  const about = `${event.name} of ${event.interface}:`;
  if (outcome === 'stale') return `${about} nothing to do, ${because}`;
  if (outcome === 'repeated') return `${about} known already`;
  if (outcome === 'down') {
    return link?.profile === undefined
      ? `${about} it was left alone, nothing to put back`
      : `${about} putting back what it had moved`;
  }
  const ends = `${event.local ?? 'no address'} to ${event.remote ?? 'no address'}`;
  if (link?.profile !== undefined) return `${about} ${ends}, profile ${link.profile.name}`;
  const ipparam = JSON.stringify(event.ipparam ?? '');
  return `${about} ${ends}, left alone: ${isOtherManagers(event) ? 'another manager runs it' : `no profile matches (ipparam ${ipparam})`}`;
}

/** A link whose interface went away without an ip-down, for the journal. */
export function vanishedLine(link: Link): string {
  const dark = link.profile?.['on-loss'] === 'block' ? ', and nothing leaves until it returns' : '';
  return `${link.profile?.name ?? 'unmanaged'}: ${link.interface} is gone; treating it as down${dark}`;
}
