// The files of the state are damaged, cannot be read, are repaired, or are written by a person.
import { mkdir, readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import { documentOf } from '../../src/state/document.ts';
import { base, type Lab, linkAlone, onLink, replaceProfile, scenario } from './lab.ts';

const lease = 'default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.10 metric 100';

/** What may become of a file while the daemon is down. */
const spoiled: Record<string, { spoil: (text: string) => string; says: RegExp; only?: 'state' | 'link' }> = {
  'not JSON': { spoil: () => 'default via 192.168.1.1\n', says: /is not JSON/ },
  empty: { spoil: () => '', says: /is not JSON, or cut short/ },
  'JSON of another kind': { spoil: () => '[]', says: /is not a state/ },
  'of a newer schema': {
    spoil: text => withoutChecksum(text).replace('"schema": 2', '"schema": 3'),
    says: /is not a state: schema: /,
  },
  'cut short by two bytes': { spoil: text => text.slice(0, -2), says: /is not JSON, or cut short/ },
  'cut short in the middle': {
    spoil: text => text.slice(0, text.length / 2),
    says: /is not JSON, or cut short/,
  },
  'another by one bit': {
    spoil: text => text.replace(/192\.168\.1\.1 |203\.0\.113\.5/, found => found.replace('1', '0')),
    says: /is damaged: its checksum does not fit/,
  },
  'a saved default that is none': {
    only: 'state',
    spoil: text => withoutChecksum(text).replace('default via 192.168.1.1', '10.0.0.0/8 via 192.168.1.1'),
    says: /is not a state: .*"10\.0\.0\.0\/8 .*" is no default route/,
  },
  'a saved default with an option for ip': {
    only: 'state',
    spoil: text => withoutChecksum(text).replace('default via 192.168.1.1', '-batch /etc/shadow'),
    says: /is not a state/,
  },
  'a number for a name': {
    only: 'link',
    spoil: text => withoutChecksum(text).replace('"ppp0"', '7'),
    says: /is not a state: link\.interface/,
  },
  'the file of another link': {
    only: 'link',
    spoil: text => withoutChecksum(text).replace(/"ifindex": \d+/, '"ifindex": 4711'),
    says: /is not a state: its name is another link’s/,
  },
};

for (const which of ['state', 'link'] as const) {
  scenario(
    `the file of ${says(which)} is spoiled: it is lost, nothing else, and no route moves`,
    async (lab, t) => {
      await lab.machine();
      await lab.up('ppp0');
      const file = await fileOf(lab, which);
      for (const [what, { spoil, says, only = which }] of Object.entries(spoiled)) {
        if (only !== which) continue;
        const good = await spoilFile(lab, file, spoil);
        await lab.startDaemon();
        const warning = new RegExp(`^warn: .*/state/${file} ${says.source}.*; what it held is not known$`);
        t.ok(
          lab.log().some(line => warning.test(line)),
          what,
          { journal: lab.log() },
        );
        await lab.shows(onLink, what);
        const { status, links, savedDefaults } = await degraded(lab, t, file);
        t.match(status, says, `${what}: so says the status`);
        t.equal(links.length, which === 'link' ? 0 : 1, `${what}: the links`);
        t.same(
          savedDefaults.map(({ route }) => route),
          which === 'link' ? [lease] : [],
          `${what}: what is saved`,
        );
        await lab.stopDaemon('SIGKILL');
        t.equal(
          await readFile(join(lab.directory, 'state', file), 'utf8'),
          spoil(good),
          'it is left for a person',
        );
        await lab.write(`state/${file}`, good);
      }
      await lab.startDaemon();
      t.equal((await lab.status()).degraded, false);
      await lab.down('ppp0');
      await lab.restored();
    },
  );
}

/** What is there while the file of a link that is gone cannot be read: neither swept nor restored. */
const leftOver = `
  192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.10
  203.0.113.5 via 192.168.1.1 dev eth0 proto 173 src 192.168.1.10
`;

/** How a file that cannot be read comes to an end, and what follows for a link that is gone. */
const ends: Record<string, (lab: Lab, file: string, good: string) => Promise<unknown>> = {
  'is set aside by `ppp-routectl restore`': lab => lab.ask('restore'),
  'is repaired': (lab, file, good) => lab.write(`state/${file}`, good),
  'is removed': (lab, file) => rm(join(lab.directory, 'state', file)),
};

for (const [what, end] of Object.entries(ends)) {
  scenario(`a spoiled file of a link that is gone ${what}: swept and restored`, async (lab, t) => {
    await lab.machine();
    await lab.up('ppp0');
    const file = await fileOf(lab, 'link');
    const good = await spoilFile(lab, file, text => text.slice(0, -9));
    await lab.ip('link del ppp0');
    await lab.startDaemon();
    await degraded(lab, t, file);
    await lab.shows(leftOver, 'as long as it is there');
    await end(lab, file, good);
    await lab.until(async () => !(await lab.status()).degraded, withinRetry);
    await lab.restored(1000);
    t.same(await lab.state(), { savedDefaults: [], links: [] }, 'nothing is left in the state');
    const left = await readdir(join(lab.directory, 'state/links'));
    t.same(left, end === ends['is set aside by `ppp-routectl restore`'] ? [`${file.slice(6)}.rejected`] : []);
  });
}

scenario('a spoiled file of a link that is up is repaired while the daemon runs', async (lab, t) => {
  await lab.machine();
  await lab.up('ppp0');
  const file = await fileOf(lab, 'link');
  const good = await spoilFile(lab, file, text => text.slice(0, -9));
  // What the link is to do is asked of the configuration of now.
  await lab.write('etc/ppp-routed.toml', `${replaceProfile}networks = ["198.18.0.0/15"]\n`);
  await lab.startDaemon();
  await degraded(lab, t, file);
  await lab.write(`state/${file}`, good);
  await lab.until(async () => (await lab.status()).links.length === 1, withinRetry);
  t.equal((await lab.status()).degraded, false);
  await lab.says(/adding a network behind the link: .*198\.18\.0\.0/);
  await lab.down('ppp0');
  await lab.restored();
});

scenario('a directory in the place of a file: what it held comes back with the file', async (lab, t) => {
  await lab.machine();
  await lab.up('ppp0');
  const path = join(lab.directory, 'state/state.json');
  const good = await readFile(path, 'utf8');
  await lab.stopDaemon('SIGKILL');
  await lab.ip('link del ppp0');
  await rm(path);
  await mkdir(path);
  await lab.startDaemon();
  await degraded(lab, t, 'state.json');
  await lab.shows(leftOver);
  await rmdir(path);
  await lab.write('state/state.json', good);
  await lab.until(async () => !(await lab.status()).degraded, withinRetry);
  await lab.restored(1000);
});

scenario('the spoiled file of a link that must stay dark', async (lab, t) => {
  await lab.machine({ profiles: `${replaceProfile}on-loss = "block"\n` });
  await lab.up('ppp0');
  await lab.ip('link del ppp0');
  // The file of the link that was up goes last.
  await lab.until(async () => (await filesOf(lab)).every(name => !/\/\d+\.json$/.test(name)));
  const dark = await lab.ip('route');
  t.match(dark, 'unreachable default');
  const file = await fileOf(lab, 'link');
  t.match(file, /^links\/\d+\.lost\.\d+\.json$/);
  const good = await spoilFile(lab, file, () => '{');
  await lab.startDaemon();
  await degraded(lab, t, file);
  t.equal(await lab.ip('route'), dark, 'it stays dark');
  await lab.write(`state/${file}`, good);
  await lab.until(
    async () => !(await lab.status()).degraded || (await lab.status()).links.length === 1,
    withinRetry,
  );
  t.equal(await lab.ip('route'), dark, 'and when it is read again');
  await lab.up('ppp0');
  await lab.until(async () => !(await lab.status()).degraded);
  await lab.ask('restore');
  await lab.shows(linkAlone, 'the administrator has the last word');
  t.notMatch(await readdir(join(lab.directory, 'state/links')), [/lost/], 'no file of it is left');
});

scenario('a link that comes up again writes its file anew, and all is well', async (lab, t) => {
  await lab.machine();
  await lab.up('ppp0');
  const file = await fileOf(lab, 'link');
  await spoilFile(lab, file, () => '{');
  // Ours and of no link that is known: put off until all can be read.
  await lab.ip('route add 203.0.113.99 via 192.168.1.1 dev eth0 proto 173');
  await lab.startDaemon();
  await degraded(lab, t, file);
  t.match(await lab.ip('route'), '203.0.113.99 via');
  await lab.fine(lab.hook('ip-up', 'ppp0'));
  await lab.comesToShow(onLink);
  t.equal((await lab.status()).degraded, false);
  t.match(await lab.state(), { links: [{ interface: 'ppp0' }], savedDefaults: [{ route: lease }] });
  await lab.down('ppp0');
  await lab.restored();
});

scenario('every file is spoiled: `ppp-routectl restore` sets them aside', async (lab, t) => {
  await lab.machine();
  await lab.up('ppp0');
  await lab.up('ppp1', { ipparam: '' });
  await lab.stopDaemon('SIGKILL');
  const files = await filesOf(lab);
  t.equal(files.length, 3);
  for (const file of files) await lab.write(`state/${file}`, '{');
  await lab.startDaemon();
  const ppp1 = '10.99.1.1 dev ppp1 proto kernel scope link src 10.99.1.2\n';
  const routes = onLink.replace('192.168.1.0/24', `${ppp1}192.168.1.0/24`);
  await lab.shows(routes, 'no route moves');
  for (const file of files)
    await lab.says(new RegExp(`^warn: .*/${file} is not JSON, or cut short; what it held is not known$`));
  t.match(await degraded(lab, t, 'state.json'), { links: [], status: /\(and 2 more files\)/ });
  // Also where there is another way out.
  await lab.ip('route add default via 192.168.1.1 dev eth0 proto static metric 300');
  await lab.until(async () => (await lab.lines('route show default')).length === 2);
  await lab.ip('route del default via 192.168.1.1 dev eth0 proto static metric 300');

  await lab.ask('restore');
  // Nobody can know the saved default now. The one over the link stays, with its pin: nothing else leads out.
  const { status, troubles } = await lab.status();
  t.match(status, /default dev ppp0 .* is ours, and no link is known that it is for: it stays/);
  t.equal(troubles.length, 1);
  await lab.shows(routes);
  for (const file of files) await lab.run('test', '-e', `${lab.directory}/state/${file}.rejected`);
  await lab.ip(`route append ${lease}`);
  await lab.comesToShow(linkAlone.replace('192.168.1.0/24', `${ppp1}192.168.1.0/24`));
  await lab.fine(lab.hook('ip-up', 'ppp0'));
  await lab.comesToShow(routes);
  for (const [name, ipparam] of Object.entries({ ppp0: 'work', ppp1: '' })) await lab.down(name, { ipparam });
  await lab.restored();
});

const bootId = '01234567-89ab-cdef-0123-456789abcdef';
const savedDefaults = [{ family: 'inet', route: lease }];
/** What a person may write, or put back from elsewhere. */
const byHand: Record<string, object> = {
  'of schema 2': { schema: 2, bootId, savedDefaults },
  'of schema 1, with links': { schema: 1, bootId, savedDefaults, links: [] },
  'of schema 1, without links': { schema: 1, bootId, savedDefaults },
  'without a schema': { bootId, savedDefaults },
};

for (const [what, content] of Object.entries(byHand)) {
  scenario(`a state.json that a person wrote, ${what}`, async (lab, t) => {
    await lab.machine();
    for (const text of [JSON.stringify(content), documentOf(content)]) {
      await lab.stopDaemon();
      await lab.ip(`route del ${lease}`);
      await lab.write('state/state.json', text);
      await lab.startDaemon({ PPP_ROUTED_BOOT_ID: bootId });
      await lab.shows(base, 'what it says is put back');
      t.equal((await lab.status()).degraded, false);
    }
    await lab.restored();
  });
}

/** Milliseconds after which a file is read again, and some. */
const withinRetry = 8000;

/** The files of the state, below its directory. */
async function filesOf(lab: Lab): Promise<string[]> {
  const names = await readdir(join(lab.directory, 'state'), { recursive: true });
  return names.filter(name => name.endsWith('.json')).sort();
}

/** `state.json`, or the file of the only link. */
async function fileOf(lab: Lab, which: 'state' | 'link'): Promise<string> {
  const found = (await filesOf(lab)).find(name => (name === 'state.json') === (which === 'state'));
  if (found === undefined) throw new Error(`there is no file of the ${which}`);
  return found;
}

/** Kills the daemon and spoils a file; returns what was in it. */
async function spoilFile(lab: Lab, file: string, spoil: (text: string) => string): Promise<string> {
  await lab.stopDaemon('SIGKILL');
  const good = await readFile(join(lab.directory, 'state', file), 'utf8');
  await lab.write(`state/${file}`, spoil(good));
  return good;
}

/** The status, which says that nothing is removed or restored because of this file, and what to do. */
async function degraded(lab: Lab, t: Test, file: string) {
  const status = await lab.status();
  const says = `/state/${file} .*: no route of ours is removed and no default restored, .*; ppp-routectl restore sets it aside`;
  t.match(status, { degraded: true, status: new RegExp(`^degraded: .*${says}`) });
  return status;
}

/** As a person writes it. */
function withoutChecksum(text: string): string {
  return text.replace(/,\s*"checksum": "[0-9a-f]+"/, '');
}

function says(which: 'state' | 'link'): string {
  return which === 'state' ? 'the saved defaults' : 'a link';
}
