// What an `ip` that has been running for a while may know of interfaces.
import t from 'tap';
import { type NameNews, Names } from '../../src/kernel/names.ts';

const rows: { name: string; heard: [string, number][]; says: NameNews }[] = [
  { name: 'the first', heard: [['ppp0', 7]], says: 'none' },
  {
    name: 'the same once more',
    heard: [
      ['ppp0', 7],
      ['ppp0', 7],
    ],
    says: 'none',
  },
  {
    name: 'another',
    heard: [
      ['ppp0', 7],
      ['ppp1', 8],
    ],
    says: 'none',
  },
  {
    name: 'one that came again',
    heard: [
      ['ppp0', 7],
      ['ppp0', 8],
    ],
    says: 'reused',
  },
  {
    name: 'one with another name',
    heard: [
      ['ppp0', 7],
      ['work', 7],
    ],
    says: 'renamed',
  },
  {
    name: 'two that changed names',
    heard: [
      ['ppp0', 7],
      ['ppp1', 8],
      ['x', 7],
      ['ppp0', 8],
    ],
    says: 'renamed',
  },
  {
    name: 'an index of before with the name of another',
    heard: [
      ['ppp0', 7],
      ['ppp1', 8],
      ['ppp1', 7],
    ],
    says: 'renamed',
  },
];

for (const { name, heard, says } of rows)
  void t.test(name, async t => {
    const names = new Names();
    t.equal(heard.map(([name, ifindex]) => names.hear({ name, ifindex })).at(-1), says);
    names.forget();
    t.equal(names.size, 0);
    const [last] = heard.slice(-1);
    if (last !== undefined)
      t.equal(names.hear({ name: last[0], ifindex: last[1] }), 'none', 'after another start');
  });
