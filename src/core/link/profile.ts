import * as v from 'valibot';
import { parsePrefix } from '../route/prefix.ts';
import { interfaceName } from './event.ts';
import { matchesGlob } from './glob.ts';

/** What a link is known by; what a profile can match on. */
export interface Traits {
  interface: string;
  ipparam?: string | undefined;
  linkname?: string | undefined;
  peername?: string | undefined;
  call?: string | undefined;
  /** Told by the hook where another manager's script runs it. */
  manager?: string | undefined;
}

const traits = ['interface', 'ipparam', 'linkname', 'peername', 'call'] as const satisfies (keyof Traits)[];

const text = v.pipe(
  v.string('expected text in quotes'),
  v.minLength(1, 'expected at least one character'),
  v.maxLength(255, 'expected at most 255 characters'),
);
const prefix = v.pipe(
  v.string('expected a prefix in quotes, such as "193.6.37.0/24"'),
  v.check(
    value => parsePrefix(value) !== undefined,
    issue =>
      `expected a prefix such as "193.6.37.0/24" or "2001:db8::/32", found ${JSON.stringify(issue.input)}`,
  ),
  v.check(
    value => parsePrefix(value)?.length !== 0,
    'expected a prefix longer than /0; to route everything set default-route',
  ),
);
const server = v.pipe(
  text,
  v.regex(
    /^[A-Za-z0-9:]([A-Za-z0-9._:-]*[A-Za-z0-9])?$/,
    issue => `expected "auto", "none", an address or a host name, found ${JSON.stringify(issue.input)}`,
  ),
);
const device = v.pipe(text, v.regex(interfaceName, 'expected "off", "auto" or the name of an interface'));

function oneOf<const T extends readonly string[]>(choices: T) {
  return v.picklist(
    choices,
    issue => `expected ${choices.map(c => `"${c}"`).join(', ')}, found ${JSON.stringify(issue.input)}`,
  );
}

const Settings = v.strictObject(
  {
    match: v.optional(
      v.pipe(
        v.strictObject(
          {
            interface: v.optional(text),
            ipparam: v.optional(text),
            linkname: v.optional(text),
            peername: v.optional(text),
            call: v.optional(text),
          },
          'expected { ipparam = "…" } or another trait of the link',
        ),
        v.check(
          match => Object.keys(match).length > 0,
          'expected at least one of interface, ipparam, linkname, peername, call',
        ),
      ),
    ),
    'default-route': v.optional(oneOf(['replace', 'metric', 'half', 'table', 'none']), 'none'),
    metric: v.optional(
      v.pipe(
        v.number('expected a whole number'),
        v.integer('expected a whole number'),
        v.minValue(1, 'expected a number from 1 to 4294967294'),
        // The kernel has 32 bits, and what leads nowhere stands behind ours.
        v.maxValue(4294967294, 'expected a number from 1 to 4294967294'),
      ),
    ),
    server: v.optional(
      v.union(
        [server, v.pipe(v.array(server), v.minLength(1, 'expected at least one server'))],
        'expected "auto", "none", an address, a host name, or a list of them',
      ),
      'auto',
    ),
    networks: v.optional(v.array(prefix, 'expected a list of prefixes'), []),
    exclude: v.optional(v.array(prefix, 'expected a list of prefixes'), []),
    'proxy-arp': v.optional(device, 'off'),
    ipv6: v.optional(oneOf(['leave', 'route', 'block']), 'leave'),
    'on-loss': v.optional(oneOf(['restore', 'block']), 'restore'),
    priority: v.optional(
      v.pipe(
        v.number('expected a whole number'),
        v.integer('expected a whole number'),
        v.minValue(-1000, 'expected a number from -1000 to 1000'),
        v.maxValue(1000, 'expected a number from -1000 to 1000'),
      ),
      0,
    ),
  },
  'expected a table of settings',
);

/** One `[link.NAME]` table of the configuration, as written. Defaults are DESIGN's: nothing that is not asked for. */
export const ProfileSchema = v.pipe(
  Settings,
  v.forward(
    v.check(
      profile => profile.metric === undefined || profile['default-route'] === 'metric',
      'expected default-route = "metric" beside it; the other modes have no metric to choose',
    ),
    ['metric'],
  ),
);

/** What the configuration wants for the links that match it. */
export interface Profile extends v.InferOutput<typeof ProfileSchema> {
  name: string;
}

/** The servers a profile names: `auto` and `none` stand alone. */
export function serversOf(profile: Profile): 'auto' | 'none' | string[] {
  const { server } = profile;
  if (server === 'auto' || server === 'none') return server;
  return typeof server === 'string' ? [server] : server;
}

/** The first profile of which every given `match` holds; without `match` its name is the link's ipparam. */
export function profileFor(profiles: readonly Profile[], link: Traits): Profile | undefined {
  if (isOtherManagers(link)) return undefined;
  return profiles.find(profile => {
    const wanted: { [T in keyof Traits]?: string | undefined } = profile.match ?? { ipparam: profile.name };
    return traits.every(
      trait =>
        wanted[trait] === undefined || (link[trait] !== undefined && matchesGlob(link[trait], wanted[trait])),
    );
  });
}

/** NetworkManager and ConnMan, told by what they hand to pppd, and netifd, told by its script, route their own links. */
export function isOtherManagers(link: Traits): boolean {
  const ipparam = link.ipparam ?? '';
  return (
    link.manager !== undefined ||
    /^nm-.*-service-/.test(ipparam) ||
    ipparam.startsWith('/org/freedesktop/NetworkManager/PPP/') ||
    ipparam.includes('pptp_plugin')
  );
}
