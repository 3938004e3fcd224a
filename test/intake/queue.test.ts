// By whichever way an event comes: once, in order, and on disk until it has been handled.
import { existsSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { decodeEvent, type LinkEvent } from '../../src/core/link/event.ts';
import type { Reply } from '../../src/intake/hook-socket.ts';
import { Queue } from '../../src/intake/queue.ts';
import { Spool } from '../../src/intake/spool.ts';
import { descriptors } from './descriptors.ts';

const idOf = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

/** The text of the event whose number is in its id. */
function textOf(n: number, name = 'ppp0', { id = true } = {}): string {
  return `version=1\nevent=ip-up\n${id ? `id=${idOf(n)}\n` : ''}interface=${name}\nifindex=${n}\n\n`;
}
const eventOf = (n: number, name?: string) => decodeEvent(Buffer.from(textOf(n, name)));

/** A spool and what is behind it: the daemon's part is played by `handle`. */
class Intake {
  readonly handled: number[] = [];
  readonly said: string[] = [];
  readonly directory: string;
  handle = async (event: LinkEvent, _askHook?: () => Promise<string[] | undefined>): Promise<Reply> => {
    this.handled.push(event.ifindex ?? 0);
    return { ok: true, text: '' };
  };
  #spool: Spool;
  queue: Queue;

  static async open(t: Test): Promise<Intake> {
    const directory = await mkdtemp(join(tmpdir(), 'intake-'));
    t.teardown(() => rm(directory, { recursive: true, force: true }));
    const intake = new Intake(directory);
    await intake.restart();
    return intake;
  }

  private constructor(directory: string) {
    this.directory = directory;
    this.#spool = this.#newSpool();
    this.queue = this.#newQueue();
  }

  /** The daemon ends and another one starts. */
  async restart(): Promise<void> {
    this.#spool = this.#newSpool();
    await this.#spool.prepare();
    this.queue = this.#newQueue();
  }

  /** As a hook does: nobody sees half a file. */
  async spool(number: number, text: string): Promise<void> {
    await writeFile(join(this.directory, '.written'), text);
    await rename(join(this.directory, '.written'), join(this.directory, String(number).padStart(10, '0')));
  }

  /** Drains the spool whenever it changes. Returns how to stop. */
  watch(): () => void {
    return this.#spool.watch(() => void this.queue.drain());
  }

  async until(isSo: () => boolean | Promise<boolean>): Promise<void> {
    for (const started = performance.now(); !(await isSo()); await sleep(5))
      if (performance.now() - started > 5000) throw new Error(`not so within 5 s: ${isSo}`);
  }

  async waiting(): Promise<string[]> {
    return (await readdir(this.directory)).filter(name => /^\d{10}$/.test(name)).sort();
  }

  #newSpool(): Spool {
    return new Spool({ directory: this.directory, onTrouble: message => this.said.push(message) });
  }

  #newQueue(): Queue {
    return new Queue({
      spool: this.#spool,
      handle: (event, askHook) => this.handle(event, askHook),
      onWaiting: () => undefined,
    });
  }
}

t.test('what waits in the spool comes before what comes by the socket', async t => {
  const intake = await Intake.open(t);
  await intake.spool(1, textOf(1));
  await intake.spool(7, textOf(2, 'ppp1'));
  await intake.queue.add(eventOf(3));
  t.same(intake.handled, [1, 2, 3]);
  t.same(await intake.waiting(), []);
});

t.test('what came through the spool is not taken again from the socket, nor by the next daemon', async t => {
  const intake = await Intake.open(t);
  await intake.spool(1, textOf(1));
  await intake.spool(2, textOf(2));
  t.match(await intake.queue.add(eventOf(1)), { ok: true, text: /came through the spool/ });
  await intake.restart();
  t.match(await intake.queue.add(eventOf(2)), { ok: true, text: /came through the spool/ });
  await intake.queue.add(eventOf(3));
  t.same(intake.handled, [1, 2, 3]);
});

t.test('a hook that has given up is not asked: what it left in the spool tells the same', async t => {
  const intake = await Intake.open(t);
  const told: (string[] | undefined)[] = [];
  const handle = intake.handle;
  intake.handle = async (event, askHook) => {
    told.push(await askHook?.());
    return handle(event);
  };
  const option = 'pty pptp vpn.example.com';
  const more = textOf(1).replace(/\n\n$/, `\npeer-option=${option}\n\n`);
  const added = intake.queue.add(eventOf(1), async () => {
    await intake.spool(1, more);
    // As the watch does.
    void intake.queue.drain();
    return undefined;
  });
  await added;
  await intake.queue.add(eventOf(2), async () => ['pty pptp 203.0.113.5']);
  await intake.queue.add(eventOf(3), async () => undefined);
  t.same(told, [[option], ['pty pptp 203.0.113.5'], undefined]);
  t.same(intake.handled, [1, 2, 3], 'and each is handled once');
  t.same(await intake.waiting(), []);
});

t.test('an event without an id is taken by either way', async t => {
  const intake = await Intake.open(t);
  await intake.spool(1, textOf(1, 'ppp0', { id: false }));
  await intake.queue.add(eventOf(2));
  t.same(intake.handled, [1, 2]);
  t.same(await intake.waiting(), []);
});

t.test(
  'an event is on disk until it has been handled, and none is put away before an earlier one',
  async t => {
    const intake = await Intake.open(t);
    const answers = new Map<number, () => void>();
    intake.handle = async event => {
      await new Promise<void>(resolve => answers.set(event.ifindex ?? 0, resolve));
      return { ok: true, text: '' };
    };
    await intake.spool(1, textOf(1));
    await intake.spool(2, textOf(2));
    await intake.spool(3, textOf(3, 'ppp1'));
    const drained = intake.queue.drain();
    const until = async (isSo: () => boolean | Promise<boolean>) => {
      while (!(await isSo())) await new Promise(resolve => setTimeout(resolve, 5));
    };
    await until(() => answers.size === 3);
    t.equal((await intake.waiting()).length, 3);
    answers.get(3)?.();
    await intake.until(async () => (await intake.waiting()).length === 2);
    answers.get(2)?.();
    await sleep(50);
    t.same(await intake.waiting(), ['0000000001', '0000000002'], 'the second waits for the first');
    answers.get(1)?.();
    await drained;
    t.same(await intake.waiting(), []);
  },
);

t.test('an event whose file cannot be put away is handled once, and the next ones are', async t => {
  const intake = await Intake.open(t);
  await rm(join(intake.directory, '.taken'), { recursive: true, force: true });
  await writeFile(join(intake.directory, '.taken'), 'in the way of the directory');
  await intake.restart();
  await intake.spool(1, textOf(1));
  await intake.queue.add(eventOf(2));
  await intake.queue.add(eventOf(3));
  t.same(intake.handled, [1, 2, 3]);
  t.match(intake.said, [
    /not as it should be/,
    /0000000001 has been handled but cannot be put away: .*; delete/,
  ]);
  await rm(join(intake.directory, '0000000001'));
  await intake.spool(1, textOf(4));
  await intake.queue.drain();
  t.same(intake.handled, [1, 2, 3, 4], 'another file of that name is another event');
});

t.test('an event that could not be handled does not hold up others', async t => {
  const intake = await Intake.open(t);
  const { handle } = intake;
  intake.handle = async event => {
    if (event.ifindex === 1) throw new Error('no way');
    return handle(event);
  };
  await intake.spool(1, textOf(1));
  await intake.spool(2, textOf(2));
  t.match(await intake.queue.add(eventOf(3)), { ok: true });
  t.same(intake.handled, [2, 3]);
  t.match(intake.said, [/0000000001 was not handled \(no way\); it was moved to .*rejected/]);
  t.same(await intake.waiting(), []);
  t.equal(await readFile(join(intake.directory, 'rejected/0000000001'), 'utf8'), textOf(1), 'it is kept');
  await t.rejects(intake.queue.add(eventOf(1)), 'by the socket it has no answer');
});

t.test('a spool that is removed and made anew is watched as before', async t => {
  const intake = await Intake.open(t);
  const stop = intake.watch();
  t.teardown(() => stop());
  await rm(intake.directory, { recursive: true });
  await mkdir(intake.directory);
  await intake.spool(1, textOf(1));
  await intake.until(() => intake.handled.length === 1);

  // It may have been looked for before it was there again.
  const { length } = intake.said;
  await rm(intake.directory, { recursive: true });
  await intake.until(() => intake.said.length > length);
  t.match(intake.said.at(-1), /cannot be watched: ENOENT.* it is looked at every/);
  await mkdir(intake.directory);
  await intake.spool(2, textOf(2));
  await intake.until(() => intake.handled.length === 2);
  await intake.spool(3, textOf(3));
  await intake.until(() => intake.handled.length === 3);
  t.same(await intake.waiting(), []);
});

t.test('what was rejected is kept beside another of its number', async t => {
  const intake = await Intake.open(t);
  for (const text of ['first', 'second', 'third']) {
    await intake.spool(1, text);
    await intake.queue.drain();
  }
  const kept = join(intake.directory, 'rejected');
  t.same((await readdir(kept)).sort(), ['0000000001', '0000000001.1', '0000000001.2']);
  t.equal(await readFile(join(kept, '0000000001'), 'utf8'), 'first');
  t.equal(await readFile(join(kept, '0000000001.2'), 'utf8'), 'third');
});

/** The answer that an event is in memory only, and the disk that it waits for. */
function unsaved() {
  let save: () => void = () => undefined;
  const saved = new Promise<void>(resolve => {
    save = resolve;
  });
  return { reply: { ok: false as const, code: 'STATE' as const, text: 'the disk is full', saved }, save };
}

t.test('an event that is in memory only stays on disk until it is saved, and holds up no other', async t => {
  const intake = await Intake.open(t);
  const { handle } = intake;
  const { reply, save } = unsaved();
  intake.handle = async event => {
    await handle(event);
    return event.interface === 'ppp0' ? reply : { ok: true, text: '' };
  };
  await intake.spool(1, textOf(1));
  await intake.spool(2, textOf(2));
  await intake.spool(3, textOf(3, 'ppp1'));
  await intake.queue.drain();
  t.same(await intake.waiting(), ['0000000001', '0000000002']);
  t.match(await intake.queue.add(eventOf(4, 'ppp1')), { ok: true });
  t.same(intake.handled, [1, 2, 3, 4], 'those that are left are not handed on again');
  save();
  await intake.until(async () => (await intake.waiting()).length === 0);
  t.match(await intake.queue.add(eventOf(1)), { ok: true, text: /came through the spool/ });
  t.same(intake.handled, [1, 2, 3, 4]);
});

t.test('the next daemon is handed what the last one had in memory only', async t => {
  const intake = await Intake.open(t);
  const { handle } = intake;
  const { reply } = unsaved();
  intake.handle = async event => {
    await handle(event);
    return reply;
  };
  await intake.spool(1, textOf(1));
  await intake.queue.drain();
  await intake.restart();
  await intake.queue.drain();
  t.same(intake.handled, [1, 1]);
  t.same(await intake.waiting(), ['0000000001']);
});

t.test('what a hook spools because its event is not saved or not answered is handed on once', async t => {
  const intake = await Intake.open(t);
  const { handle } = intake;
  const { reply, save } = unsaved();
  let answer: () => void = () => undefined;
  const answered = new Promise<void>(resolve => {
    answer = resolve;
  });
  intake.handle = async event => {
    await handle(event);
    if (event.interface === 'ppp0') return reply;
    await answered;
    return { ok: true, text: '' };
  };
  t.match(await intake.queue.add(eventOf(1)), { ok: false, code: 'STATE' });
  await intake.spool(1, textOf(1));
  await intake.queue.drain();
  const late = intake.queue.add(eventOf(2, 'ppp1'));
  await intake.until(() => intake.handled.length === 2);
  await intake.spool(2, textOf(2, 'ppp1'));
  const drained = intake.queue.drain();
  await sleep(50);
  t.same(await intake.waiting(), ['0000000001', '0000000002']);
  answer();
  await Promise.all([late, drained]);
  t.same(await intake.waiting(), ['0000000001']);
  save();
  await intake.until(async () => (await intake.waiting()).length === 0);
  t.same(intake.handled, [1, 2]);
});

t.test('files that are no events do not hold up one that is, and only the first are kept', async t => {
  const intake = await Intake.open(t);
  const rejected = join(intake.directory, 'rejected');
  for (let n = 1; n <= 1500; n++)
    writeFileSync(join(intake.directory, String(n).padStart(10, '0')), `rubbish ${n}`);
  await intake.spool(1501, textOf(1));
  const { handle } = intake;
  let putAsideBefore = true;
  intake.handle = async event => {
    putAsideBefore = existsSync(rejected);
    return handle(event);
  };
  await intake.queue.drain();
  t.same(intake.handled, [1]);
  t.notOk(putAsideBefore, 'they are put aside after it');
  t.same(await intake.waiting(), []);

  const kept = (await readdir(rejected)).sort();
  t.equal(kept.length, 1000);
  t.same([kept[0], kept.at(-1)], ['0000000001', '0000001000'], 'the first');
  t.equal(await readFile(join(rejected, '0000001000'), 'utf8'), 'rubbish 1000');
  t.equal(intake.said.length, 11);
  t.match(intake.said.at(-1), /^1490 more files in /);

  await mkdir(join(intake.directory, '0000000001'));
  await intake.spool(2, 'rubbish');
  await intake.queue.drain();
  await intake.queue.drain();
  t.match(intake.said.slice(11), [
    /0000000001 is no event .* could not be kept: .*rejected is full; look at its 1000 files and delete them/,
    /0000000002 is no event .* could not be kept: /,
  ]);
  t.same(await intake.waiting(), ['0000000001'], 'no directory is deleted');

  await rm(rejected, { recursive: true });
  await intake.spool(2, 'rubbish again');
  await intake.queue.drain();
  t.equal(await readFile(join(rejected, '0000000002'), 'utf8'), 'rubbish again', 'there is room again');
});

t.test('what is no event is put aside, whatever it is', async t => {
  const intake = await Intake.open(t);
  await intake.spool(1, 'rubbish\n');
  await mkdir(join(intake.directory, '0000000002'));
  await intake.spool(3, textOf(3));
  await intake.queue.drain();
  t.same(intake.handled, [3]);
  t.same((await readdir(join(intake.directory, 'rejected'))).sort(), ['0000000001', '0000000002']);
  t.equal(intake.said.length, 2);
});

t.test(
  'an event is seen when it comes, also at once, and also under a number that was used before',
  async t => {
    const intake = await Intake.open(t);
    t.teardown(intake.watch());
    for (let n = 1; n <= 20; n++) {
      await intake.spool(1, textOf(n));
      await intake.until(() => intake.handled.at(-1) === n);
    }
    t.equal(intake.handled.length, 20);
    t.same(intake.said, []);
  },
);

t.test('where the spool cannot be watched it is looked at by and by', async t => {
  const intake = await Intake.open(t);
  await rm(intake.directory, { recursive: true });
  t.teardown(intake.watch());
  t.match(intake.said, [/cannot be watched: ENOENT.*; it is looked at every 1000 ms/]);
  await mkdir(intake.directory);
  await intake.spool(1, textOf(1));
  await intake.until(() => intake.handled.length === 1);
  t.same(intake.handled, [1]);
});

t.test('what cannot be read for want of a descriptor waits, and what is behind it', async t => {
  const here = await Intake.open(t);
  const next = descriptors();
  await here.spool(1, textOf(1));
  await here.spool(2, textOf(2));
  t.teardown(here.watch());
  await next();
  await here.queue.drain();
  await here.queue.drain();
  await next();
  t.same(here.handled, []);
  t.match(here.said, [/^the spool cannot be read: EMFILE/], 'told once');
  t.same(await here.waiting(), ['0000000001', '0000000002'], 'both are there');
  await here.until(() => here.handled.length === 2);
  t.same(here.handled, [1, 2], 'by itself, in their order');
});
