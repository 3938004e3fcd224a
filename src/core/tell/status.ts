import type { Decision } from '../decide/decide.ts';
import { activeLink } from '../decide/demand.ts';
import { modes } from '../decide/modes.ts';
import type { LinkEvent } from '../link/event.ts';
import type { Applied, Link, Links } from '../link/link.ts';
import { demandingLinks } from '../link/link-index.ts';
import { isOtherManagers } from '../link/profile.ts';
import { memoize } from '../route/memoize.ts';
import { families } from '../route/prefix.ts';

/** The one line of `systemctl status`: what is wrong, in the sentences given, and then what holds. */
export function statusLine(
  links: Links,
  decision: Decision | undefined,
  troubles: readonly string[],
): string {
  const saved = decision?.state.savedDefaults.map(({ route }) => route) ?? [];
  const parts = [
    ...(troubles.length === 0 ? [] : [`degraded: ${few(troubles)}`]),
    linksLine(links, decision),
    ...(saved.length === 0 ? [] : [`saved: ${saved.join(', ')}`]),
  ];
  return parts.join('; ').replaceAll(/[\n\r]/g, ' ');
}

/** What is true of the links, in one line: those that carry a default first, and of many only the first few. */
export function linksLine({ links, others }: Links, decision: Decision | undefined): string {
  const total = links.length + others.length;
  if (total === 0) return 'no link is up';
  const carriers = new Set([...(decision?.demand.carriers.values() ?? [])].map(({ link }) => link.order));
  const first = demandingLinks(links).filter(({ order }) => total > mostInLine && carriers.has(order));
  const told = new Set([...first, ...links.slice(0, mostInLine), ...others.slice(0, mostInLine)]);
  return few(
    [...told].slice(0, mostInLine).map(link => linkLine(link, decision)),
    total,
  );
}

/** What a person can take in; `ppp-routectl status` has them all. */
const mostInLine = 8;

function few(sayings: readonly string[], total = sayings.length): string {
  const told = sayings.slice(0, mostInLine);
  return [...told, ...(total > told.length ? [`and ${total - told.length} more`] : [])].join('; ');
}

/** What is true of one link, as `work: ppp0 up, default via ppp0`. */
export function linkLine(link: Link, decision: Decision | undefined): string {
  const { profile } = link;
  if (profile === undefined) return `unmanaged: ${link.interface} left alone`;
  const about = `${profile.name}: ${link.interface}`;
  if (link.released === true) return `${about} up, released by the administrator`;
  if (decision !== undefined && !isAmong(decision.state.links, link)) return `${about} up, not routed yet`;
  const active = decision && activeLink(link, decision.demand);
  if (active?.dark === true || link.lost === true) {
    const stops = link.inet === undefined ? 'IPv6 traffic stops' : 'traffic stops';
    return `${about} is ${link.lost === true ? 'lost' : 'down'}, ${stops} until it returns (ppp-routectl restore lifts this)`;
  }
  if (active === undefined) return `${about} is down`;
  const carries = families.filter(family => carriesDefault(link, family, decision));
  const table = modes[profile['default-route']].table === 'own' ? ' in its own table' : '';
  const metric = profile.metric === undefined ? '' : ` at metric ${profile.metric}`;
  const through = carries.map(family => (family === 'inet' ? 'default' : 'IPv6 default')).join(' and ');
  return [
    `${about} up`,
    ...(carries.length > 0 ? [`${through} via ${link.interface}${table}${metric}`] : []),
    ...(profile.networks.length > 0 ? [`networks ${profile.networks.join(' ')}`] : []),
  ].join(', ');
}

/** The decision was made about it, or about what it was before. */
function isAmong(links: readonly Link[], link: Link): boolean {
  return links.includes(link) || ordersOf(links).has(link.order);
}

const ordersOf = memoize((links: readonly Link[]) => new Set(links.map(({ order }) => order)));

/** Is this the link that has the default, and is the default really there? */
function carriesDefault(link: Link, family: 'inet' | 'inet6', decision: Decision | undefined): boolean {
  const missing = decision?.steps.some(
    step => step.kind === 'add-route' && step.purpose === 'default' && step.route.family === family,
  );
  return missing === false && decision?.demand.carriers.get(family)?.link.order === link.order;
}

/** What an event did, for the journal. */
export function eventLine(
  event: LinkEvent,
  applied: Partial<Pick<Applied, 'outcome' | 'because' | 'link'>>,
): string {
  const { outcome, because, link } = applied;
  const about = `${event.name} of ${event.interface}:`;
  if (outcome === 'stale') return `${about} nothing to do, ${because}`;
  if (outcome === 'repeated') return `${about} ${because ?? 'known already'}`;
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
