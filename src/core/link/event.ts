import { familyOf } from '../route/prefix.ts';

export const eventNames = ['ip-up', 'ip-down', 'ipv6-up', 'ipv6-down'] as const;
export type EventName = (typeof eventNames)[number];

/** What a hook says that pppd did. docs/wire.md holds the table of keys. */
export interface LinkEvent {
  name: EventName;
  /** Tells this event from every other: a random UUID. */
  id?: string;
  interface: string;
  /** The interface's index when the hook ran; missing where it was gone or sysfs not readable. */
  ifindex?: number;
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

export type ReplyCode = 'VERSION' | 'FIELD' | 'SIZE' | 'TIMEOUT' | 'STATE' | 'ROUTE' | 'SERVER' | 'BUSY';

/** Why an event was not taken. `code` goes to the hook, the message says which field and what was expected. */
export class EventError extends Error {
  override readonly name = 'EventError';
  readonly code: ReplyCode;
  constructor(code: ReplyCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Bytes of one event, the empty line at its end included. */
export const eventLimit = 4096;
const valueLimit = 255;
const repeatable = new Set(['peer-option', 'unusable']);
const peerOptionLimit = 4;

/**
 * The names that ip takes for what they are, wherever they stand. In a batch a `#` begins a comment, quotes and a backslash at
 * the end have a meaning (getcmdline() and makeargs() in iproute2's lib/utils.c); it prints `@` before a device's parent.
 */
export const interfaceName = /^(?!-)(?!\.{1,2}$)(?!.*["#'\\@:])[!-.0-~]{1,15}$/;

/** Does this chunk of bytes hold a whole event? An event ends with an empty line. */
export function isComplete(bytes: Buffer): boolean {
  return bytes.includes('\n\n');
}

/**
 * Reads one event. Every byte is hostile until it has passed here: PEERNAME comes from the far end.
 * @throws EventError with VERSION, FIELD or SIZE.
 */
export function decodeEvent(bytes: Buffer): LinkEvent {
  if (bytes.length > eventLimit)
    throw new EventError('SIZE', `an event is at most ${eventLimit} bytes, this has ${bytes.length}`);
  const fields = readFields(bytes);
  const take = takeFrom(fields);

  const version = take('version', /^\d{1,4}$/, 'a decimal number');
  if (version !== '1') {
    throw new EventError(
      'VERSION',
      `version ${quote(version ?? 'missing')}: this daemon speaks version 1; reinstall the hooks`,
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
    name,
    id: take('id', /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'a UUID in lower case'),
    interface: ifname,
    ifindex: number('ifindex'),
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
    throw new EventError('FIELD', `${quote(unknown)} is not a field of version 1; reinstall the hooks`);
  return event;
}

function readFields(bytes: Buffer): Map<string, string[]> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw Object.assign(new EventError('FIELD', 'the event is not UTF-8 text'), { cause });
  }
  const fields = new Map<string, string[]>();
  const end = text.indexOf('\n\n');
  for (const line of text.slice(0, end < 0 ? text.length : end).split('\n')) {
    if (line === '') continue;
    const cut = line.indexOf('=');
    const key = line.slice(0, Math.max(cut, 0));
    if (!/^[a-z][a-z0-9-]{0,31}$/.test(key))
      throw new EventError('FIELD', `${quote(line)} is not a key=value line`);
    const value = line.slice(cut + 1);
    if (hasControl(value)) throw fieldError(key, value, 'no control characters');
    if (Buffer.byteLength(value) > valueLimit) throw fieldError(key, value, `at most ${valueLimit} bytes`);
    const values = fields.get(key) ?? [];
    if (values.length > 0 && !repeatable.has(key)) throw new EventError('FIELD', `${key} stands twice`);
    values.push(value);
    if (key === 'peer-option' && values.length > peerOptionLimit)
      throw new EventError('FIELD', `more than ${peerOptionLimit} peer-option lines`);
    fields.set(key, values);
  }
  return fields;
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

function fieldError(key: string, value: string | undefined, expected: string): EventError {
  const is = value === undefined ? 'is missing or was unusable' : `is ${quote(value)}`;
  return new EventError('FIELD', `${key} ${is}; expected ${expected}`);
}

/** C0, DEL and C1: none of them may reach a log line, a terminal or an argument. */
function hasControl(text: string): boolean {
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return true;
  }
  return false;
}

/** A hostile value, short and on one line, fit for a message. */
function quote(value: string): string {
  const text = JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  // JSON has no need to escape DEL and C1; a terminal has.
  return text.replace(
    /[\x7f-\x9f]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
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
