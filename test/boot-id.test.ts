import t from 'tap';
import { BootIdError, bootIdOf } from '../src/boot-id.ts';

const id = '11111111-2222-3333-4444-55555555555a';

t.test('as the kernel writes it, with and without dashes', async t => {
  for (const given of [id, id.replaceAll('-', ''), `${id}\n`])
    t.equal(bootIdOf({ PPP_ROUTED_BOOT_ID: given }), id);
  t.match(bootIdOf({ PPP_ROUTED_BOOT_ID: '' }), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
});

t.test('what is none is not taken for one: it would be the same after the next boot', async t => {
  for (const given of ['%b', ' ', id.slice(1), `${id}0`])
    t.throws(() => bootIdOf({ PPP_ROUTED_BOOT_ID: given }), BootIdError);
});
