// What ip would do with a line of a batch: an opinion that shares nothing with the code that wrote the line.
import { isIPv4, isIPv6 } from 'node:net';

/**
 * The words that ip reads: getcmdline() and makeargs() of iproute2's lib/utils.c. undefined where it would read on in the
 * next line, or end.
 */
export function wordsOf(line: string): string[] | undefined {
  if (/[\n\0]/.test(line) || line.endsWith('\\')) return undefined;
  let rest = line.replace(/#.*$/, '');
  const words: string[] = [];
  for (;;) {
    rest = rest.replace(/^[ \t\r]+/, '');
    if (rest === '') return words;
    const quote = /^["']/.exec(rest)?.[0];
    const end = quote === undefined ? rest.search(/[ \t\r]/) : rest.indexOf(quote, 1);
    if (quote !== undefined && end < 0) return undefined;
    words.push(rest.slice(quote === undefined ? 0 : 1, end < 0 ? undefined : end));
    if (end < 0) return words;
    rest = rest.slice(end + 1);
  }
}

/** Questions that the daemon asks; they change nothing. */
const questions =
  /^(link show|link show dev lo|address show|route show table main|route show table all proto 173|rule show|neigh show proxy|rule show priority 17399 table 17399 protocol (kernel|boot)|netconf show|answered)$/;

/**
 * Why a line is none of those that the daemon may write; undefined if it is one.
 * @param devices the interfaces that it may speak of.
 */
export function whyNotMeant(line: string, devices: ReadonlySet<string>): string | undefined {
  const words = wordsOf(line);
  if (words === undefined) return 'it does not end with the line';
  if (words.join(' ') !== line) return `ip reads ${JSON.stringify(words)}`;
  if (words.some(word => word.startsWith('-'))) return 'an option';
  if (questions.test(line)) return undefined;
  const [object, verb, ...rest] = words;
  switch (object) {
    case 'route':
      if (!/^(prepend|append|add|del)$/.test(verb ?? '')) return `route ${verb}`;
      return whyNoRoute(rest, devices);
    case 'rule':
      return whyNoRule(verb, rest);
    case 'nexthop': {
      const isEcho = /^(add id 417300000[01] blackhole proto 173|del id 417300000[01])$/;
      return isEcho.test([verb, ...rest].join(' ')) ? undefined : 'no echo';
    }
    case 'neigh': {
      const [kind, address = '', dev, name = '', ...protocol] = rest;
      if (kind !== 'proxy' || dev !== 'dev' || !isAddress(address)) return 'no proxy neighbour';
      if (!devices.has(name)) return `device ${name}`;
      const wanted = verb === 'add' ? 'protocol 173' : '';
      return (verb === 'add' || verb === 'del') && protocol.join(' ') === wanted ? undefined : 'not ours';
    }
    default:
      return `object ${object}`;
  }
}

const isAddress = (text: string) => isIPv4(text) || isIPv6(text);
const isPrefix = (text: string) => {
  const [address = '', length = '0', more] = text.split('/');
  return isAddress(address) && /^\d{1,3}$/.test(length) && more === undefined;
};
const isNumber = (text: string) => /^\d{1,10}$/.test(text);
const isWord = (text: string) => /^[\w.:/%+-]+$/.test(text);

/** What may follow each key of a route; the attributes that are only carried along may have any plain value. */
const routeKeys: Record<string, (value: string) => boolean> = {
  via: isAddress,
  src: isAddress,
  metric: isNumber,
  weight: isNumber,
  nhid: isNumber,
  table: isWord,
  proto: isWord,
  tos: isWord,
};
const carried = new Set(
  'scope mtu advmss window rtt rttvar cwnd initcwnd initrwnd hoplimit ssthresh reordering realm realms congctl quickack pref fastopen_no_cookie features'.split(
    ' ',
  ),
);
const routeTypes = /^(unicast|local|broadcast|multicast|anycast|throw|unreachable|prohibit|blackhole|nat)$/;

function whyNoRoute(words: readonly string[], devices: ReadonlySet<string>): string | undefined {
  const left = [...words];
  if (routeTypes.test(left[0] ?? '')) left.shift();
  const destination = left.shift() ?? '';
  if (destination !== 'default' && !isPrefix(destination)) return `destination ${destination}`;
  for (let key = left.shift(); key !== undefined; key = left.shift()) {
    if (key === 'onlink' || key === 'pervasive' || key === 'nexthop') continue;
    let value = left.shift() ?? '';
    if (key === 'via' && /^inet6?$/.test(value)) value = left.shift() ?? '';
    if (key === 'dev') {
      if (!devices.has(value)) return `device ${value}`;
    } else if (carried.has(key)) {
      if (!isWord(value)) return `${key} ${value}`;
      if (value === 'lock') left.shift();
      while (key === 'features' && /^(ecn|tcp_usec_ts)$/.test(left[0] ?? '')) left.shift();
    } else if (!routeKeys[key]?.(value)) return `${key} ${value}`;
  }
  return undefined;
}

function whyNoRule(verb: string | undefined, words: readonly string[]): string | undefined {
  const end = /^(.*) priority (\d{1,10}) protocol 173$/.exec(words.join(' '));
  if (end === null) return 'not ours';
  // What is deleted is what the kernel printed of a rule that has our number.
  if (verb === 'del') return undefined;
  if (verb !== 'add') return `rule ${verb}`;
  const selector = /^from all(?: to (\S+))? lookup (main|main suppress_prefixlength 0|17300)$/.exec(
    end[1] ?? '',
  );
  if (selector === null) return `selector ${end[1]}`;
  return selector[1] === undefined || isPrefix(selector[1]) ? undefined : `to ${selector[1]}`;
}
