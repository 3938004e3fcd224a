// Inputs that were samples once.
import type { Draw } from './random.ts';

/** What has a meaning somewhere on the way, and should have none here. */
const words = [
  ...['\n', '\n\n', '\0', '\r', '\t', ' ', '  ', '#', '"', "'", '\\', '\\\n', '-', '--', '/', ':', '@', '%'],
  ...['-batch', '-force', '-batch /etc/passwd', 'dev ', ' dev lo ', ' table 255 ', ' proto 173 ', 'nexthop '],
  ...[
    'default',
    '0.0.0.0/0',
    '::/0',
    '::',
    'fe80::1%eth0',
    '1.2.3.4',
    '256.1.1.1',
    '1.2.3.4/33',
    '010.1.1.1',
  ],
  ...[
    'ppp0',
    '..',
    '-x',
    'a#b',
    '"q"',
    'interface=',
    'event=ip-down\n',
    'version=2',
    'id=',
    '=',
    '[link.',
    ']',
  ],
  ...[
    '__proto__',
    'constructor',
    'NaN',
    '1e999',
    '-1',
    '99999999999999999999',
    '0x10',
    'null',
    '{',
    '}',
    '[',
    ',',
  ],
  ...[
    '\x1b[2J',
    '\x7f',
    '\u0085',
    '\u2028',
    '\ufeff',
    'ő',
    '\u{1f600}',
    '\u202e',
    '$(reboot)',
    '`reboot`',
    ';',
  ],
  ...[
    'unreachable ',
    'mtu lock ',
    'encap ip id 1 ',
    'expires 5sec ',
    ' onlink',
    ' linkdown',
    ' pref low',
    'Deleted ',
  ],
];

/** A sample, changed a few times over: byte by byte, by words that mean something, by pieces of other samples. */
export function mutate(samples: readonly string[], draw: Draw): Buffer {
  let bytes = pick(samples, draw);
  for (let change = draw(6); change > 0; change--) {
    const at = draw(bytes.length + 1);
    const length = draw(draw(8) === 0 ? bytes.length + 1 : 8);
    const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
    const rest = after.subarray(length);
    switch (draw(8)) {
      case 0:
        bytes = Buffer.concat([before, rest]);
        break;
      case 1:
        bytes = Buffer.concat([before, Buffer.from([draw(256)]), after.subarray(1)]);
        break;
      case 2:
        bytes = Buffer.concat([before, Buffer.from(words[draw(words.length)] ?? ''), after]);
        break;
      case 3:
        bytes = Buffer.concat([before, Buffer.from(words[draw(words.length)] ?? ''), rest]);
        break;
      case 4:
        bytes = Buffer.concat([
          before,
          pick(samples, draw)
            .subarray(draw(40))
            .subarray(0, 1 + draw(60)),
          rest,
        ]);
        break;
      case 5:
        bytes = Buffer.concat([bytes, pick(samples, draw)]);
        break;
      case 6:
        bytes = Buffer.concat([before, ...Array(draw(20)).fill(after.subarray(0, length)), after]);
        break;
      case 7:
        bytes = before;
    }
    // What matters is what is read as one thing; no limit stands beyond that.
    bytes = bytes.subarray(0, 20_000);
  }
  return bytes;
}

function pick(samples: readonly string[], draw: Draw): Buffer<ArrayBufferLike> {
  return Buffer.from(samples[draw(samples.length)] ?? '');
}
