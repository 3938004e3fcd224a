import type { Link } from '../link/link.ts';
import { memoize } from '../route/memoize.ts';
import type { Address, Observed } from '../route/observed.ts';
import { covers, type Prefix, parsePrefix } from '../route/prefix.ts';
import { devicesOf, type Route } from '../route/route.ts';
import type { Demand } from './demand.ts';
import { defaultMetric, everything, modes } from './modes.ts';
import { uplinkDefaults } from './uplink.ts';

/** What is as it is configured, and yet may surprise, in sentences. `beside`: the uplink defaults that stay beside ours. */
export function warningsOf(
  demand: Demand,
  { observed, beside }: { observed: Observed; beside: readonly Route[] },
): string[] {
  return [
    ...leaks(demand, observed),
    ...openings(demand, beside),
    ...overlaps(demand, observed),
    ...unpinned(demand),
  ];
}

/** IPv6 goes past a link that carries only IPv4, unless the profile says otherwise. */
function leaks(demand: Demand, observed: Observed): string[] {
  const carrier = demand.carriers.get('inet');
  if (carrier === undefined || carrier.profile.ipv6 !== 'leave' || demand.carriers.has('inet6')) return [];
  const [uplink] = uplinkDefaults(observed, demand.managedDevices, 'inet6');
  if (uplink === undefined) return [];
  const { link, profile } = carrier;
  return [
    `IPv6 does not go over ${link.interface} but past it, through ${devicesOf(uplink).join(' and ')}: profile ${profile.name} has ipv6 = "leave"; "block" stops it, "route" sends it over the link`,
  ];
}

/**
 * Where a link is to block when it is lost, what leads nowhere stands behind its default (`defaultRoutes`). An uplink's
 * default with the metric of ours stands between the two, and no metric is better: until we have looked it is open.
 */
function openings({ carriers }: Demand, beside: readonly Route[]): string[] {
  return [...carriers].flatMap(([family, { link, profile, dark }]) => {
    const mode = modes[profile['default-route']];
    if (profile['on-loss'] !== 'block' || dark || mode.table !== 'main') return [];
    const between = beside.filter(
      route =>
        route.family === family &&
        route.metric <= defaultMetric(profile, family) &&
        mode.prefixes === everything,
    );
    return between.map(
      ({ line }) =>
        `${line} has as good a metric as our default over ${link.interface}: when that link is lost, traffic leaves by it until ppp-routed has looked, although profile ${profile.name} has on-loss = "block"; give it a higher metric`,
    );
  });
}

/** A network behind a link that is also a LAN here: the machines on it go out of reach. */
function overlaps(demand: Demand, observed: Observed): string[] {
  const lans = lansAmong(observed.addresses).filter(({ dev }) => !demand.managedDevices.has(dev));
  if (lans.length === 0) return [];
  const place = lans.map(({ dev, address, length }) => `${dev} ${address}/${length}`).join();
  return demand.active.flatMap(({ link, profile }) => {
    const known = overlapping.get(link);
    if (known?.place === place) return known.sayings;
    const sayings = profile.networks.flatMap(network => {
      const prefix = parsePrefix(network);
      const lan = lans.find(
        ({ own }) =>
          prefix !== undefined &&
          (covers({ outer: own, inner: prefix }) || covers({ outer: prefix, inner: own })),
      );
      if (lan === undefined) return [];
      return [
        `network ${network} of profile ${profile.name} overlaps the LAN ${lan.address}/${lan.length} on ${lan.dev}: what is in both goes over ${link.interface} where ${network} is the longer prefix`,
      ];
    });
    overlapping.set(link, { place, sayings });
    return sayings;
  });
}

type Lan = Address & { own: Prefix };

/** The prefixes that this machine has addresses in, those of links left out. */
const lansAmong = memoize((addresses: readonly Address[]): readonly Lan[] =>
  addresses.flatMap(lan => {
    if (lan.peer !== undefined) return [];
    const own = parsePrefix(`${lan.address}/${lan.length}`);
    return own === undefined ? [] : [{ ...lan, own }];
  }),
);

/** What was found out about a link, and the LANs that it was held against. */
const overlapping = new WeakMap<Link, { place: string; sayings: string[] }>();

/** Without a pin a tunnel over IP can be routed through itself. PPPoE and serial lines need none. */
function unpinned(demand: Demand): string[] {
  const carriers = new Set(demand.carriers.values());
  return [...carriers].flatMap(({ link, profile }) => {
    if (profile.server !== 'auto' || link.servers.length > 0 || link.asking === true) return [];
    return [
      `${link.interface}: no server was found to keep on the uplink; if this tunnel runs over IP, name its server in profile ${profile.name}, else say server = "none"`,
    ];
  });
}
