import { familyOf } from '../route/prefix.ts';
import { EventError, fieldError, quote, readFields } from './fields.ts';

export const eventNames = ['ip-up', 'ip-down', 'ipv6-up', 'ipv6-down'] as const;
export type EventName = (typeof eventNames)[number];

/** What a hook says that pppd did. docs/wire.md holds the table of keys. */
export interface LinkEvent {
  /** 1: the hook has told its peer-options. 2: it waits to be asked for them. */
  version: 1 | 2;
  name: EventName;
  /** Tells this event from every other: a random UUID. */
  id?: string;
  interface: string;
  /** The interface's index when the hook ran; missing where it was gone or sysfs not readable. */
  ifindex?: number;
  /** The inode number of the hook's network namespace; missing in events of older hooks. */
  netns?: number;
  local?: string;
  remote?: string;
  ipparam?: string;
  pid?: number;
  call?: string;
  linkname?: string;
  peername?: string;
  /** A network manager that runs the link and its routes itself. */
  manager?: string;
  tty?: string;
  speed?: string;
  dns: string[];
  /** Lines of the peers file that name a server, and the command lines of pptp processes (`process …`). */
  peerOptions: string[];
}

/**
 * The names that ip takes for what they are, wherever they stand. In a batch a `#` begins a comment, quotes and a backslash at
 * the end have a meaning (getcmdline() and makeargs() in iproute2's lib/utils.c); it prints `@` before a device's parent.
 */
export const interfaceName = /^(?!-)(?!\.{1,2}$)(?!.*["#'\\@:])[!-.0-~]{1,15}$/;

/** Reads one event; every byte is hostile until it has passed here. @throws EventError: VERSION, FIELD, SIZE. */
export function decodeEvent(bytes: Buffer): LinkEvent {
  const fields = readFields(bytes);
  const take = takeFrom(fields);

  const version = take('version', /^\d{1,4}$/, 'a decimal number');
  if (version !== '1' && version !== '2') {
    throw new EventError(
      'VERSION',
      `version ${quote(version ?? 'missing')}: this daemon speaks versions 1 and 2; reinstall the hooks`,
    );
  }
  const name = take('event', undefined, '');
  if (!isEventName(name)) throw fieldError('event', name, `one of ${eventNames.join(' ')}`);
  const dropped = fields
    .get('unusable')
    ?.find(key => key === 'interface' || key === 'local' || key === 'remote');
  if (dropped !== undefined) throw fieldError(dropped, undefined, 'printable characters, at most 255 bytes');
  const ifname = take(
    'interface',
    interfaceName,
    'an interface name of 1 to 15 characters, none of them " # \' \\ @ :',
  );
  if (ifname === undefined)
    throw fieldError('interface', undefined, 'an interface name of 1 to 15 characters');

  const family = name.startsWith('ipv6-') ? 'inet6' : 'inet';
  const address = (key: string, wanted: 'inet' | 'inet6' | 'any'): string | undefined => {
    const value = take(key, undefined, '');
    if (value === undefined) return undefined;
    const is = familyOf(value);
    if (is === undefined || (wanted !== 'any' && is !== wanted)) {
      throw fieldError(
        key,
        value,
        wanted === 'inet6' ? 'an IPv6 address' : wanted === 'inet' ? 'an IPv4 address' : 'an address',
      );
    }
    return value;
  };
  const number = (key: string): number | undefined => {
    const value = take(key, /^[1-9]\d{0,9}$/, 'a positive decimal number');
    return value === undefined ? undefined : Number(value);
  };
  const event = withoutMissing({
    version: version === '1' ? (1 as const) : (2 as const),
    name,
    id: take('id', /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'a UUID in lower case'),
    interface: ifname,
    ifindex: number('ifindex'),
    netns: number('netns'),
    local: address('local', family),
    remote: address('remote', family),
    ipparam: take('ipparam'),
    pid: number('pid'),
    call: take('call'),
    linkname: take('linkname'),
    peername: take('peername'),
    manager: take('manager', /^[a-z]{1,20}$/, 'the name of a network manager'),
    tty: take('tty'),
    speed: take('speed', /^\d{1,10}$/, 'a decimal number'),
    dns: [address('dns1', 'any'), address('dns2', 'any')].filter(dns => dns !== undefined),
    peerOptions: fields.get('peer-option') ?? [],
  });
  fields.delete('peer-option');
  fields.delete('unusable');
  const [unknown] = fields.keys();
  if (unknown !== undefined)
    throw new EventError(
      'FIELD',
      `${quote(unknown)} is not a field of version ${version}; reinstall the hooks`,
    );
  return event;
}

function takeFrom(fields: Map<string, string[]>) {
  return (key: string, pattern?: RegExp, expected = ''): string | undefined => {
    const value = fields.get(key)?.[0];
    fields.delete(key);
    if (value === undefined || value === '') return undefined;
    if (pattern !== undefined && !pattern.test(value)) throw fieldError(key, value, expected);
    return value;
  };
}

function isEventName(name: string | undefined): name is EventName {
  return eventNames.some(known => known === name);
}

/** exactOptionalPropertyTypes: a missing field is left out, not undefined. */
function withoutMissing<T extends object>(
  fields: T,
): { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
} {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
