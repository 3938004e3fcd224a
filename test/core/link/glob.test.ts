import fc from 'fast-check';
import t from 'tap';
import { matchesGlob } from '../../../src/core/link/glob.ts';
import { seed } from '../../form.ts';

t.test('a pattern fits the whole value', async t => {
  const rows: [pattern: string, fits: string[], not: string[]][] = [
    ['work', ['work'], ['', 'Work', 'works', ' work']],
    ['', [''], ['x']],
    ['*', ['', 'x', '/a/b', '.hidden', 'ő\u{1f600}'], []],
    ['ppp*', ['ppp', 'ppp0', 'ppp/0'], ['xppp', 'pp']],
    ['*.example.com', ['vpn.example.com', '.example.com'], ['example.com', 'vpn.example.com.evil']],
    ['a*b*c', ['abc', 'axbxc', 'abbcc', 'abcbc'], ['acb', 'ab', 'abcd']],
    ['ppp?', ['ppp0', 'ppp\u{1f600}'], ['ppp', 'ppp10']],
    ['ppp[0-35]', ['ppp0', 'ppp3', 'ppp5'], ['ppp4', 'ppp-', 'ppp', 'ppp00']],
    ['ppp[!0-3]', ['ppp4', 'pppx'], ['ppp0', 'ppp']],
    ['[^a]', ['b'], ['a']],
    ['[]x]', [']', 'x'], ['[']],
    ['[a-]', ['a', '-'], ['b']],
    ['[abc', ['[abc'], ['a']],
    ['\\*', ['*'], ['x', '\\*']],
    ['x\\', ['x\\'], ['x']],
    ['(a|b)+{c,d}!', ['(a|b)+{c,d}!'], ['ab']],
  ];
  for (const [pattern, fits, not] of rows) {
    for (const value of fits) t.ok(matchesGlob(value, pattern), `${pattern} fits ${value}`);
    for (const value of not) t.notOk(matchesGlob(value, pattern), `${pattern} does not fit ${value}`);
  }
});

t.test('what stands literally fits itself, and as part of what is around it', async () => {
  const literal = fc.string({ unit: fc.constantFrom(...'ab/.-_ő') });
  fc.assert(
    fc.property(literal, literal, literal, (before, text, after) => {
      const escaped = text.replaceAll('-', '\\-');
      return (
        matchesGlob(text, escaped) &&
        matchesGlob(before + text + after, `*${escaped}*`) &&
        matchesGlob(text, text.replaceAll(/./gu, '?')) &&
        !matchesGlob(`${text}x`, escaped)
      );
    }),
    { seed },
  );
});

t.test('no value takes long, whatever the pattern', async t => {
  const value = 'a'.repeat(255);
  for (const pattern of [`${'*a'.repeat(100)}*b`, `${'*'.repeat(254)}b`, `${'*[a-z]?'.repeat(36)}b`]) {
    const started = performance.now();
    t.notOk(matchesGlob(value, pattern));
    t.ok(performance.now() - started < 200, `${performance.now() - started} ms`);
  }
});
