// A table of routes as the kernel keeps it: before, what the monitor says, after.
import t from 'tap';
import { parsePrefix } from '../../src/core/route/prefix.ts';
import { type Position, RouteTable } from '../../src/kernel/route-table.ts';

interface Row {
  name: string;
  /** As they were read, in their order. */
  before: string[];
  /** `first`, `last` or `alone` and what is added; `delete`, `forget` and what goes. */
  heard: [Position | 'delete' | 'forget', string];
  says: boolean | 'doubt';
  after?: string[];
}

const rows: Row[] = [
  {
    name: 'prepended before its own metric only',
    before: [
      'default via 10.0.0.1 dev a tos 0x10',
      'default via 10.0.0.2 dev a',
      'default via 10.0.0.3 dev a metric 5',
    ],
    heard: ['first', 'default dev p proto 173'],
    says: true,
    after: [
      'default tos 0x10 via 10.0.0.1 dev a',
      'default dev p proto 173',
      'default via 10.0.0.2 dev a',
      'default via 10.0.0.3 dev a metric 5',
    ],
  },
  {
    name: 'appended behind its own metric only',
    before: ['default via 10.0.0.2 dev a', 'default via 10.0.0.3 dev a metric 5'],
    heard: ['last', 'default via 10.0.0.4 dev a'],
    says: true,
    after: [
      'default via 10.0.0.2 dev a',
      'default via 10.0.0.4 dev a',
      'default via 10.0.0.3 dev a metric 5',
    ],
  },
  {
    name: 'another of its metric may have been replaced',
    before: ['default via 10.0.0.2 dev a'],
    heard: ['alone', 'default via 10.0.0.4 dev a'],
    says: 'doubt',
  },
  {
    name: 'so may one, by another that was there',
    before: ['default via 10.0.0.2 dev a', 'default via 10.0.0.4 dev a'],
    heard: ['alone', 'default via 10.0.0.4 dev a'],
    says: 'doubt',
  },
  {
    name: 'what was heard twice changes nothing',
    before: ['default via 10.0.0.2 dev a linkdown'],
    heard: ['alone', 'default via 10.0.0.2 dev a'],
    says: false,
    after: ['default via 10.0.0.2 dev a'],
  },
  {
    name: 'another table is not kept',
    before: ['default via 10.0.0.2 dev a'],
    heard: ['alone', 'default via 10.0.0.4 dev a table 100'],
    says: false,
    after: ['default via 10.0.0.2 dev a'],
  },
  {
    name: 'but ours there may have been replaced',
    before: ['default dev p table 17300 proto 173'],
    heard: ['alone', 'default via 10.0.0.4 dev a table 17300'],
    says: 'doubt',
  },
  {
    name: 'deleted',
    before: ['default via 10.0.0.2 dev a', 'default via 10.0.0.4 dev a'],
    heard: ['delete', 'default via 10.0.0.2 dev a linkdown'],
    says: true,
    after: ['default via 10.0.0.4 dev a'],
  },
  {
    name: 'one that is not known may have been a part of another',
    before: ['default nexthop via 10.0.0.2 dev a weight 1 nexthop via 10.0.0.3 dev a weight 1'],
    heard: ['delete', 'default via 10.0.0.2 dev a'],
    says: 'doubt',
  },
  {
    name: 'all through a device',
    before: ['default dev p proto 173', 'default via 10.0.0.2 dev a', '0.0.0.0/1 dev p'],
    heard: ['forget', 'dev p'],
    says: true,
    after: ['default via 10.0.0.2 dev a'],
  },
  {
    name: 'all with a preferred source, and no longer one',
    before: ['default via 10.0.0.2 dev a src 10.0.0.1', 'default via 10.0.0.2 dev a src 10.0.0.10 metric 5'],
    heard: ['forget', 'src 10.0.0.1'],
    says: true,
    after: ['default via 10.0.0.2 dev a src 10.0.0.10 metric 5'],
  },
  {
    name: 'one with other nexthops may stay',
    before: ['default nexthop via 10.0.0.2 dev a weight 1 nexthop dev p weight 1'],
    heard: ['forget', 'dev p'],
    says: 'doubt',
  },
  {
    name: 'nothing through it',
    before: ['default via 10.0.0.2 dev a'],
    heard: ['forget', 'dev p'],
    says: false,
    after: ['default via 10.0.0.2 dev a'],
  },
];

const everywhere = parsePrefix('10.9.9.9');

for (const { name, before, heard, says, after } of rows)
  void t.test(name, async t => {
    const table = new RouteTable('inet');
    for (const line of before) table.add(line, 'last');
    const [how, what] = heard;
    const outcome =
      how === 'delete'
        ? table.delete(what)
        : how === 'forget'
          ? table.forget(what as `dev ${string}`)
          : table.add(what, how);
    t.equal(outcome, says);
    if (after === undefined || everywhere === undefined) return;
    t.same(
      table.covering(everywhere).map(({ line }) => line),
      after,
    );
    t.equal(table.differenceFrom(after), undefined, 'as a reading shows it');
    t.match(table.differenceFrom(after.slice(1)), 'is not there', 'one less is noticed');
    t.match(table.differenceFrom([...after, 'default via 10.0.0.99 dev a']), 'was not known', 'one more too');
    if (after.length > 1 && !after.some(line => /metric|tos/.test(line)))
      t.match(table.differenceFrom([...after].reverse()), 'another place', 'and another order');
  });
