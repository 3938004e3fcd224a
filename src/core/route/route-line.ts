import { memoizeText } from './memoize.ts';
import { type Family, familyOf, formatPrefix, parseDestination } from './prefix.ts';
import { defaults, hopWords, type Nexthop, type Route } from './route.ts';

/** The types of routes, which a line begins with. */
export const types = new Set(
  'unicast local broadcast multicast anycast throw unreachable prohibit blackhole nat'.split(' '),
);
/** What the kernel says about a route's state of the moment; nobody can add it and it says nothing about the route. */
const passing = new Set(
  'linkdown dead offload rt_offload offload_failed trap rt_trap unresolved notify'.split(' '),
);
/** Attributes of one value that `ip route add` takes in the very words in which `ip route show` prints them. */
const lossless = new Set(
  'scope mtu advmss window rtt rttvar cwnd initcwnd initrwnd hoplimit ssthresh reordering realm realms congctl quickack pref fastopen_no_cookie'.split(
    ' ',
  ),
);

/** Reads a line of `ip -o route show` (iproute2 6.x, without -d). @returns undefined where it is no route. */
export function parseRoute(text: string, family: Family): Route | undefined {
  return routeOf[family](text);
}

/** The same routes are read, wanted and saved at every look. */
const routeOf: Record<Family, (text: string) => Route | undefined> = {
  inet: memoizeText(text => readRoute(text, 'inet')),
  inet6: memoizeText(text => readRoute(text, 'inet6')),
};

function readRoute(text: string, family: Family): Route | undefined {
  const words = text.replaceAll('\\', ' ').split(/\s+/).filter(Boolean);
  const type = types.has(words[0] ?? '') ? (words.shift() as string) : defaults.type;
  const destination = parseDestination(words.shift() ?? '', family);
  if (destination === undefined) return undefined;
  const dst = formatPrefix(destination);
  const route: Route = {
    family,
    type,
    dst,
    table: defaults.table,
    protocol: defaults.protocol,
    metric: 0,
    tos: '0',
    nexthops: [],
    attributes: [],
    line: '',
  };
  let hop: Nexthop | undefined;
  const hopHere = (): Nexthop => {
    if (hop === undefined) {
      hop = { options: [] };
      route.nexthops.push(hop);
    }
    return hop;
  };
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (passing.has(word)) continue;
    if (word === 'nexthop') hop = undefined;
    else if (word === 'onlink' || word === 'pervasive') hopHere().options.push(word);
    else {
      const value = words.shift();
      if (value === undefined) return undefined;
      if (word === 'via')
        hopHere().via = value === 'inet6' || value === 'inet' ? `${value} ${words.shift() ?? ''}` : value;
      else if (word === 'dev') hopHere().dev = value;
      else if (word === 'weight') hopHere().options.push(`weight ${value}`);
      else if (word === 'table') route.table = value;
      else if (word === 'proto') route.protocol = value;
      else if (word === 'metric') route.metric = metricOf(value);
      else if (word === 'tos') route.tos = value;
      else if (word === 'src') route.source = value;
      else if (word === 'nhid') route.nexthopId = value;
      else if (word === 'expires')
        route.unrestorable = '`expires` cannot be given back to the kernel as it was';
      else if (word === 'features') {
        const features = [value];
        while (words[0] === 'ecn' || words[0] === 'tcp_usec_ts') features.push(words.shift() as string);
        route.attributes.push(`features ${features.join(' ')}`);
      } else if (lossless.has(word)) {
        const locked = value === 'lock' ? ` ${words.shift() ?? ''}` : '';
        route.attributes.push(`${word} ${value}${locked}`);
      } else {
        // How many words belong to it is not known: what follows might be read amiss.
        route.unrestorable = `\`${word}\` cannot be given back to the kernel as it was`;
        const rest = words.join(' ');
        const metric = /\bmetric (\S+)/.exec(rest)?.[1];
        if (metric !== undefined) route.metric = metricOf(metric);
        route.protocol = /\bproto (\S+)/.exec(rest)?.[1] ?? route.protocol;
        // The gateway too: a pin of the device alone would ask the LAN for the server.
        for (const words of rest.split(/\bnexthop\b/)) {
          const [, via, dev] = /(?:\bvia ((?:inet6? )?\S+) )?\bdev (\S+)/.exec(words) ?? [];
          if (dev === undefined) continue;
          if (hop?.dev !== undefined) hop = undefined;
          Object.assign(hopHere(), { dev, ...(via !== undefined && { via }) });
          hopHere().options.push(...(words.match(/\bonlink\b|\bweight \d{1,3}\b/g) ?? []));
        }
        break;
      }
    }
  }
  if (!isWellFormed(route)) return undefined;
  route.line = formatRoute(route);
  return route;
}

/** NaN where it is none: RTA_PRIORITY has 32 bits. */
function metricOf(word: string): number {
  const metric = /^\d{1,10}$/.test(word) ? Number(word) : Number.NaN;
  return metric <= 0xffffffff ? metric : Number.NaN;
}

/** Half a line, or a state file of anybody's: what is no value of its key must not become an argument of `ip`. */
function isWellFormed({ metric, nexthops, source, ...route }: Route): boolean {
  const gateways = nexthops.flatMap(({ via }) => (via === undefined ? [] : [via.replace(/^inet6? /, '')]));
  const hopOptions = nexthops.flatMap(({ options }) => options);
  const { table, protocol, tos, nexthopId = '0' } = route;
  return (
    Number.isInteger(metric) &&
    /^\d{1,10}$/.test(nexthopId) &&
    [...gateways, ...(source === undefined ? [] : [source])].every(
      address => familyOf(address) !== undefined,
    ) &&
    hopOptions.every(option => /^(onlink|pervasive|weight \d{1,3})$/.test(option)) &&
    [table, protocol, tos, ...route.attributes].every(words => plainWords.test(words))
  );
}

const plainWords = /^(?:(?:^| )[\w./:%+][\w./:%+-]*)+$/;

/** A route that was read by `parseRoute`, as the line it was: the words in the order of iproute2's print_route(). */
function formatRoute(route: Route): string {
  const { nexthopId } = route;
  const [only] = route.nexthops;
  const several = route.nexthops.length > 1;
  const gatewayless =
    route.family === 'inet6' && only?.via === undefined && !several && nexthopId === undefined;
  const words = [
    ...(route.type === defaults.type ? [] : [route.type]),
    // `ip route add default dev X` without -6 would be an IPv4 route.
    route.dst === 'default' && gatewayless ? '::/0' : route.dst,
    ...(route.tos === '0' ? [] : ['tos', route.tos]),
    ...(nexthopId === undefined ? [] : ['nhid', nexthopId]),
    ...(several || nexthopId !== undefined || only === undefined ? [] : hopWords({ ...only, options: [] })),
    ...(route.table === defaults.table ? [] : ['table', route.table]),
    ...(route.protocol === defaults.protocol ? [] : ['proto', route.protocol]),
    ...route.attributes.filter(attribute => attribute.startsWith('scope ')),
    ...(route.source === undefined ? [] : ['src', route.source]),
    ...(route.metric === 0 ? [] : ['metric', String(route.metric)]),
    ...(several || nexthopId !== undefined || only === undefined ? [] : only.options),
    ...route.attributes.filter(attribute => !attribute.startsWith('scope ')),
    ...(several && nexthopId === undefined
      ? route.nexthops.flatMap(hop => ['nexthop', ...hopWords(hop)])
      : []),
  ];
  return words.join(' ');
}
