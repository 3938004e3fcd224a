// Every kind of line has its explanation, and every explanation its kind of line.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { messageIds } from '../../src/core/tell/message.ts';

const project = join(import.meta.dirname, '../..');
const catalog = await readFile(join(project, 'systemd/ppp-routed.catalog'), 'utf8');
const entries = catalog
  .split(/^-- /m)
  .slice(1)
  .map(entry => {
    const [head = '', ...body] = entry.split('\n\n');
    const [id = '', ...fields] = head.split('\n');
    return { id, fields, body: body.join('\n\n').trim() };
  });

await t.test('the same ids on both sides, each once', async t => {
  const ids = entries.map(({ id }) => id);
  t.same([...ids].sort(), Object.values(messageIds).sort());
  t.equal(new Set(ids).size, ids.length);
  for (const id of ids) t.match(id, /^[0-9a-f]{32}$/, 'as systemd-id128 new prints them');
});

await t.test('each says what it is and what to do', async t => {
  for (const { id, fields, body } of entries) {
    t.same(
      fields.map(field => field.split(':')[0]),
      ['Subject', 'Defined-By'],
      id,
    );
    t.ok(body.split('\n\n').length >= 2, `${id}: an explanation, and what to do`);
    for (const [field] of body.matchAll(/@\w+@/g)) t.match(field, /^@PPP_(LINK|EVENT|PROFILE)@$/);
    for (const line of body.split('\n')) t.ok(line.length <= 127, `fits a terminal: ${line}`);
  }
});

await t.test('each is used', async t => {
  const sources = (await readdir(join(project, 'src'), { recursive: true })).filter(path =>
    path.endsWith('.ts'),
  );
  const code = (await Promise.all(sources.map(path => readFile(join(project, 'src', path), 'utf8')))).join(
    '\n',
  );
  for (const name of Object.keys(messageIds)) t.match(code, `messageIds.${name}`);
});
