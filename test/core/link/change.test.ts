// What changes the links, each a function of them and of the moment.
import fc from 'fast-check';
import t from 'tap';
import * as v from 'valibot';
import {
  type Change,
  configureLinks,
  foundServers,
  linksOnDisk,
  type Moment,
  recallLinks,
  releaseLinks,
  takeEvent,
} from '../../../src/core/link/change.ts';
import type { LinkEvent } from '../../../src/core/link/event.ts';
import type { Link, Links } from '../../../src/core/link/link.ts';
import { type Profile, ProfileSchema } from '../../../src/core/link/profile.ts';
import { differenceOf } from '../../../src/core/link/state.ts';

const work = profile('work', { server: '203.0.113.5' });
const dark = profile('work', { server: '203.0.113.5', 'on-loss': 'block' });
const named = profile('work', { server: 'vpn.example' });

const none: Links = { links: [], others: [] };
const how = { arrival: 5, canAsk: false };

t.test('an event of a link that no profile matches: kept beside', t => {
  const { links, outcome } = up('ppp0', 'other')(none, moment([work]));
  t.match({ links, outcome }, { outcome: 'up', links: { links: [], others: [{ interface: 'ppp0' }] } });
  t.same(takeEvent(event('ip-down', 'ppp0', 'other'), how)(links, moment([work])).links, none);
  t.end();
});

t.test('an event of a link that a profile matches; its server is looked for where it has a name', t => {
  t.match(up('ppp0', 'work')(none, moment([work])), {
    links: { links: [{ interface: 'ppp0', servers: ['203.0.113.5'] }], others: [] },
    lookups: [],
  });
  const { links, lookups } = up('ppp0', 'work')(none, moment([named]));
  const [link] = links.links;
  t.match(link, { asking: true, unresolved: ['vpn.example'] });
  t.same(lookups, [{ link, earlier: [], asksHook: false }]);
  t.end();
});

t.test('the configuration is not known: a link keeps the profile it has', t => {
  const links = taken(none, up('ppp0', 'work'), moment([work]));
  const { links: after, lookups } = up('ppp0', 'work')(links, moment(undefined));
  t.match({ after, lookups }, { after: { links: [{ profile: work }] }, lookups: [] });
  t.same(configureLinks(links, moment(undefined)), { links, lookups: [] });
  t.end();
});

t.test('another configuration: a link is managed at once, and left alone at once', t => {
  const beside = taken(none, up('ppp0', 'work'), moment([]));
  t.match(beside, { links: [], others: [{ interface: 'ppp0' }] });
  const managed = configureLinks(beside, moment([work])).links;
  t.match(managed, { links: [{ interface: 'ppp0', profile: work, servers: ['203.0.113.5'] }], others: [] });
  t.match(configureLinks(managed, moment([])).links, { links: [], others: [{ profile: undefined }] });
  const { links } = configureLinks(managed, moment([work]));
  t.equal(links.links, managed.links, 'what stays the same is the very same');
  t.equal(links.others, managed.others);
  t.end();
});

t.test('another configuration: only what still says block keeps a lost link', t => {
  const lost = { links: [link({ lost: true, profile: dark })], others: [] };
  t.equal(configureLinks(lost, moment([dark])).links.links, lost.links);
  t.same(configureLinks(lost, moment([work])).links, none);
  t.same(configureLinks(lost, moment([])).links, none);
  t.end();
});

t.test('the administrator lets all go, and forgets what is lost', t => {
  const other = link({ ifindex: 11, profile: undefined });
  const lost = link({ ifindex: 9, order: 2, lost: true, profile: dark });
  const before = { links: [link({}), lost], others: [other] };
  t.same(releaseLinks(before, moment([work])), {
    links: { links: [link({ released: true })], others: [other] },
    lookups: [],
  });
  t.end();
});

t.test('servers that were found count for the link that asked, and for no other', t => {
  const { links, lookups } = up('ppp0', 'work')(none, moment([named]));
  const [lookup] = lookups;
  if (lookup === undefined) throw new Error('nothing is looked for');
  const found = { peerOptions: [], servers: ['203.0.113.7'], unresolved: [] };
  t.match(foundServers(lookup, found)(links, moment([named])).links, {
    links: [{ servers: ['203.0.113.7'], unresolved: [], asking: undefined }],
  });
  t.equal(foundServers(lookup, found)(none, moment([named])).links, none, 'it is gone');
  const configured = configureLinks(links, moment([work])).links;
  t.equal(
    foundServers(lookup, found)(configured, moment([work])).links,
    configured,
    'it asks for no name now',
  );
  t.end();
});

t.test('links that could not be read before count where nothing newer is known', t => {
  const old = link({ order: 3 });
  const lost = link({ order: 3, lost: true, profile: dark });
  const later = link({ ifindex: 11, interface: 'ppp1', order: 7, profile: dark });
  const other = link({ profile: undefined, ipparam: 'other' });
  const rows: [what: string, Links, recalled: Link[], expected: Partial<Links>, profiles?: Profile[]][] = [
    ['it is not known', none, [old], { links: [old] }],
    ['it is left alone', none, [other], { links: [], others: [other] }],
    ['it came up again', { links: [link({ order: 7 })], others: [] }, [old], { links: [link({ order: 7 })] }],
    ['it takes the profile of now', none, [old], { links: [{ ...old, profile: dark }] }, [dark]],
    ['it is gone', none, [link({ ifindex: 99 })], { links: [] }],
    [
      'it is gone, and stays dark',
      none,
      [{ ...old, ifindex: 99, profile: dark }],
      {
        links: [{ ...old, ifindex: 99, profile: dark, lost: true, asking: undefined }],
      },
      [dark],
    ],
    ['it is lost', none, [lost], { links: [lost] }, [dark]],
    [
      'one family of it is lost',
      { links: [link({ order: 3, profile: dark })], others: [] },
      [lost],
      {
        links: [link({ order: 3, profile: dark }), lost],
      },
      [dark],
    ],
    [
      'another of its profile came up since',
      { links: [later], others: [] },
      [lost],
      { links: [later] },
      [dark],
    ],
    [
      'another of its profile was up before',
      { links: [{ ...later, order: 2 }], others: [] },
      [lost],
      {
        links: [{ ...later, order: 2 }, lost],
      },
      [dark],
    ],
  ];
  for (const [what, links, recalled, expected, profiles = [work]] of rows) {
    const { links: found } = recallLinks(recalled)(links, moment(profiles));
    t.same(found, { ...none, ...expected }, what);
  }
  t.end();
});

t.test('while nothing can be saved, what is on disk counts', t => {
  const known = link({ profile: dark });
  t.same(linksOnDisk([known], [known]), [known]);
  t.same(linksOnDisk([], [known]), [], 'it is gone');
  const come = link({ ifindex: 11, order: 9, profile: dark });
  t.same(linksOnDisk([come], []), [], 'it is not on disk');
  t.same(linksOnDisk([come], [known]), [{ ...known, lost: true, asking: undefined }], 'dark for as long');
  t.same(linksOnDisk([{ ...come, released: true }], [known]), [], 'unless it was let go');
  t.end();
});

/** Links of which any number may be the same object in two lists, in another order. */
const pool = Array.from({ length: 8 }, (_, i) => link({ ifindex: i, order: i }));
const list = fc.shuffledSubarray(pool);

t.test('before, without what is gone and with what has come, is after', t => {
  fc.assert(
    fc.property(list, list, (before, after) => {
      const { gone, come } = differenceOf(before, after);
      const found = new Set([...before.filter(one => !gone.includes(one)), ...come]);
      return (
        found.size === after.length &&
        after.every(one => found.has(one)) &&
        gone.every(one => before.includes(one)) &&
        come.every(one => after.includes(one))
      );
    }),
    { seed: Number(process.env.SEED ?? 1) },
  );
  t.end();
});

t.test('lists that are alike have a small difference', t => {
  const [first, second, third, fourth] = pool as [Link, Link, Link, Link];
  const before = [first, second, third];
  t.same(differenceOf(before, before), { gone: [], come: [] });
  t.same(differenceOf(before, [first, second, third, fourth]), { gone: [], come: [fourth] });
  t.same(differenceOf(before, [first, third]), { gone: [second], come: [] });
  t.same(differenceOf(before, [first, third, fourth]), { gone: [second], come: [fourth] });
  t.end();
});

function profile(name: string, settings: object): Profile {
  return { name, ...v.parse(ProfileSchema, { 'default-route': 'replace', ...settings }) };
}

function link(more: Partial<Link>): Link {
  return {
    interface: 'ppp0',
    ifindex: 10,
    ipparam: 'work',
    profile: work,
    inet: { local: '10.99.0.2', remote: '10.99.0.1' },
    order: 1,
    peerOptions: [],
    servers: ['203.0.113.5'],
    unresolved: [],
    ...more,
  };
}

function event(name: LinkEvent['name'], from: string, ipparam: string): LinkEvent {
  const ends = { local: '10.99.0.2', remote: '10.99.0.1' };
  return { version: 2, name, interface: from, ...ends, ipparam, dns: [], peerOptions: [] };
}

function up(from: string, ipparam: string): Change {
  return takeEvent(event('ip-up', from, ipparam), how);
}

/** ppp0 and ppp1 are there. */
function moment(profiles: readonly Profile[] | undefined): Moment {
  const interfaces = ['ppp0', 'ppp1'].map((name, i) => ({ name, ifindex: 10 + i, up: true }));
  return { interfaces, profiles };
}

function taken(links: Links, change: Change, now: Moment): Links {
  return change(links, now).links;
}
