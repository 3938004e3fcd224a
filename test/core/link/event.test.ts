import fc from 'fast-check';
import t from 'tap';
import { decodeEvent } from '../../../src/core/link/event.ts';
import { EventError, isComplete } from '../../../src/core/link/fields.ts';
import { decodeTransport } from '../../../src/core/link/transport.ts';
import { seed } from '../../form.ts';

const good =
  'version=1\nevent=ip-up\ninterface=ppp0\nifindex=12\nlocal=10.99.0.2\nremote=10.99.0.1\nipparam=work\npid=77\n';

function outcome(text: string | Buffer): string {
  try {
    decodeEvent(Buffer.from(text));
    return 'ok';
  } catch (error) {
    if (!(error instanceof EventError)) throw error;
    return `${error.code} ${error.message}`;
  }
}

t.test('an event as a hook sends it', async t => {
  t.match(decodeEvent(Buffer.from(good.replace('version=1', 'version=2').concat('netns=4026531833\n\n'))), {
    version: 2,
    netns: 4026531833,
    peerOptions: [],
  });
  t.match(decodeEvent(Buffer.from(`${good}peer-option=pty "pptp vpn.example.org"\nunusable=peername\n\n`)), {
    version: 1,
    name: 'ip-up',
    interface: 'ppp0',
    ifindex: 12,
    local: '10.99.0.2',
    remote: '10.99.0.1',
    ipparam: 'work',
    pid: 77,
    peerOptions: ['pty "pptp vpn.example.org"'],
  });
  t.equal(outcome('version=1\nevent=ipv6-down\ninterface=ppp0\nlocal=fe80::1\nremote=fe80::2\n\n'), 'ok');
});

t.test('an event of the spool: what version 1 does not know follows the empty line', async t => {
  const event = decodeEvent(Buffer.from(`${good}peer-option=pty a\n\nnetns=4026531833\n\n`));
  t.match(event, { version: 1, netns: 4026531833, peerOptions: ['pty a'] });
  t.match(outcome(`${good}\nevent=ip-down\n\n`), /^FIELD event stands twice/);
});

t.test('an answer to the question', async t => {
  const answers: [string, boolean, string[]][] = [
    ['\n', true, []],
    ['unusable=peer-option\n\n', true, []],
    ['peer-option=pty "pptp a"\npeer-option=process pptp b\n\n', true, ['pty "pptp a"', 'process pptp b']],
    ['peer-option=pty a\n', false, ['pty a']],
  ];
  for (const [text, whole, peerOptions] of answers) {
    t.equal(isComplete(Buffer.from(text)), whole);
    t.strictSame(decodeTransport(Buffer.from(text)), peerOptions);
  }
  t.throws(() => decodeTransport(Buffer.from('event=ip-up\n\n')), { name: 'EventError', code: 'FIELD' });
  t.throws(() => decodeTransport(Buffer.from(`${'x'.repeat(4097)}\n\n`)), {
    name: 'EventError',
    code: 'SIZE',
  });
});

t.test('bad input names the field and what was expected', async t => {
  const rows: [string | Buffer, RegExp][] = [
    ['', /^VERSION /],
    [good.replace('version=1', 'version=3'), /^VERSION .*"3".*versions 1 and 2/],
    [`${good}netns=-1\n`, /^FIELD netns /],
    [good.replace('ip-up', 'ip-pre-up'), /^FIELD event .*ip-pre-up.*one of/],
    [good.replace('ppp0', '-batch'), /^FIELD interface .*-batch/],
    [good.replace('ppp0', '../x'), /^FIELD interface /],
    ...['a#b', "it's", '"q"', 'x\\', 'a@b', 'a:b'].map((name): [string, RegExp] => [
      good.replace('ppp0', name),
      /^FIELD interface .*none of them/,
    ]),
    [`${good}id=../../etc/passwd\n`, /^FIELD id .*UUID/],
    [good.replace('ppp0', 'ppp0 via'), /^FIELD interface /],
    [good.replace('ppp0', 'abcdefghijklmnop'), /^FIELD interface .*15 characters/],
    [good.replace('interface=ppp0\n', ''), /^FIELD interface is missing/],
    [good.replace('10.99.0.2', '10.99.0'), /^FIELD local .*IPv4/],
    [good.replace('10.99.0.1', 'fe80::1'), /^FIELD remote .*IPv4/],
    [good.replace('work', 'wo\trk'), /^FIELD ipparam .*control/],
    [good.replace('work', 'wo\u009brk'), /^FIELD ipparam .*control/],
    [good.replace('work', 'x'.repeat(256)), /^FIELD ipparam .*255/],
    [good.replace('pid=77', 'pid=-1'), /^FIELD pid /],
    [`${good}pid=78\n`, /^FIELD pid stands twice/],
    [`${good}colour=red\n`, /^FIELD "colour" is not a field/],
    [`${good}no equals sign\n`, /^FIELD .*not a key=value/],
    [`${good}unusable=interface\n`, /^FIELD interface is missing or was unusable/],
    [`${good}${'peer-option=pty x\n'.repeat(5)}`, /^FIELD more than 4/],
    [`${good}${'x'.repeat(4097)}`, /^SIZE .*4096/],
    [Buffer.from([...Buffer.from(good), 0xff, 0xfe]), /^FIELD .*UTF-8/],
  ];
  for (const [text, wanted] of rows) t.match(outcome(text), wanted);
});

t.test('no bytes at all make it do anything but decode or refuse', async t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), bytes => void outcome(Buffer.from(bytes))),
    { numRuns: 2000, seed },
  );
  const lines = fc.array(
    fc.tuple(fc.constantFrom('version', 'event', 'interface', 'local', 'pid', 'ipparam', 'x'), fc.string()),
  );
  fc.assert(
    fc.property(lines, pairs => {
      const text = pairs.map(([key, value]) => `${key}=${value}`).join('\n');
      let event: ReturnType<typeof decodeEvent>;
      try {
        event = decodeEvent(Buffer.from(text));
      } catch (error) {
        if (error instanceof EventError) return;
        throw error;
      }
      if (!/^[!-.0-~]{1,15}$/.test(event.interface) || event.interface.startsWith('-'))
        throw new Error(event.interface);
    }),
    { numRuns: 5000, seed },
  );
  t.pass('7,000 inputs');
});
