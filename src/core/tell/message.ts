import type { Step } from '../decide/plan.ts';
import type { LinkEvent } from '../link/event.ts';
import type { Applied, Link, Outcome } from '../link/link.ts';

/**
 * What kind of thing a line of the journal says: its MESSAGE_ID (systemd.journal-fields(7)). systemd/ppp-routed.catalog
 * explains each to `journalctl -x`. A new one comes from `systemd-id128 new`; none is ever used for something else.
 */
export const messageIds = {
  ready: '58ab9a1840454e189575963e1477ae1f',
  stopping: 'abd2072c54c648babee62a4f07757e4a',
  cannotStart: 'f219423de65047219c3a51e0a1b1a7cb',
  linkUp: '717b73c24e5c4a14b53a781aecff1667',
  linkLeftAlone: 'aff5fded19fd45199a2d00659508a4cc',
  linkDown: '14d35c8e01b0471ca943cde87910940c',
  linkVanished: 'ea10bf9671d14a40a9c83bf2827812a5',
  eventWithoutEffect: '8ccd63d37c6540afb8ff962d89252842',
  eventRefused: 'ec4d4cc5b6454b8085d76618ec63e5a6',
  spoolTrouble: '70c34ff48adf4d1a875694e6b7a72900',
  eventsWaited: 'd357de16295a4991966d7d4d0e9c8039',
  routeChanged: '3b0655b442b5472c88153aa62a11b9b5',
  routeFailed: '774664ab47a04d4bab1aa1e5c1c19fc8',
  defaultGivenUp: 'dc19fe687ac040559ee546c030f1307e',
  uplinkRestored: 'df2f4ac081a1471b9b676888177b50f0',
  configurationRead: 'ad2be7a5db4d45ac81381a9a3ef641c9',
  stateSetAside: '29995ec8342449c4931c2fb71bffe166',
  troubleBegan: '504f9d55104d425bb8631d8529300fd6',
  troubleOver: 'ca989095b8f748e38e654515a5557610',
} as const;

/** Fields of the line about an event. */
export function eventFields(event: LinkEvent, { outcome, link }: Partial<Applied>) {
  const { profile } = link ?? {};
  return {
    MESSAGE_ID: messageIdOf(outcome, profile !== undefined),
    PPP_LINK: event.interface,
    PPP_EVENT: event.name,
    ...(profile === undefined ? {} : { PPP_PROFILE: profile.name }),
  };
}

function messageIdOf(outcome: Outcome | undefined, isManaged: boolean): string {
  if (outcome === 'stale' || outcome === 'repeated') return messageIds.eventWithoutEffect;
  if (!isManaged) return messageIds.linkLeftAlone;
  return outcome === 'up' ? messageIds.linkUp : messageIds.linkDown;
}

/** Fields of the line about a link whose interface went away without an ip-down. */
export function vanishedFields({ interface: name, profile }: Link) {
  return {
    MESSAGE_ID: messageIds.linkVanished,
    PPP_LINK: name,
    ...(profile === undefined ? {} : { PPP_PROFILE: profile.name }),
  };
}

/** Fields of the line about a step that was taken, or that failed. `isOfLink`: is an interface of that name one of a link? */
export function stepFields(
  step: Step,
  { isOfLink, failed }: { isOfLink: (dev: string) => boolean; failed: boolean },
) {
  const route = 'route' in step ? step.route : undefined;
  const link = route?.nexthops.find(({ dev }) => dev !== undefined && isOfLink(dev))?.dev;
  return {
    MESSAGE_ID: failed ? messageIds.routeFailed : messageIds.routeChanged,
    ...(route === undefined ? {} : { ROUTE: route.line }),
    ...(link === undefined ? {} : { PPP_LINK: link }),
  };
}
