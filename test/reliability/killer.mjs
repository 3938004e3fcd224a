// Loaded into the daemon with `node --import`. It passes a named point at every boundary (each line to `ip` and each
// piece of its answers, each write, fsync, rename, link and unlink, each socket read and reply) and ends the process with
// SIGKILL at the point that it is told to.
//
// Told on standard input, a line each, and answered on standard error by `killer: ok`:
//   trace           forget what was passed; from now on say every point: `killer: point NAME`
//   arm SPEC        forget what was passed; SPEC is `keep|kill NTH NAME`: die at the NTH passing of NAME (`any`: of
//                   whatever); `kill`: and the children with it, else they go on with what they were given
//   rest            neither
// KILLER=SPEC, KILLER=trace in the environment: from the start.
import childProcess from 'node:child_process';
import fs from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';

const { writeSync } = fs;
const children = new Set();
const passed = new Map();
let passedAll = 0;
let tracing = false;
let victimAt;

function obey(command) {
  passed.clear();
  passedAll = 0;
  const spec = /^(keep|kill) (\d+) (.*)$/.exec(command);
  tracing = command === 'trace';
  victimAt =
    spec === null ? undefined : { children: spec[1] === 'kill', nth: Number(spec[2]), name: spec[3] };
}

/** `lastAct`: what happens of the step before the process dies in it. */
function pass(name, lastAct) {
  const nth = (passed.get(name) ?? 0) + 1;
  passed.set(name, nth);
  passedAll++;
  if (tracing) say(`point ${name}`);
  if (victimAt === undefined) return;
  const isHere =
    victimAt.name === 'any' ? victimAt.nth === passedAll : victimAt.name === name && victimAt.nth === nth;
  if (!isHere) return;
  lastAct?.();
  say(`died at ${name}`);
  if (victimAt.children) for (const child of children) child.kill('SIGKILL');
  process.kill(process.pid, 'SIGKILL');
}

function say(text) {
  writeSync(2, `killer: ${text}\n`);
}

/** Temporary files have random names. */
const nameOf = path =>
  typeof path === 'string' ? basename(path).replace(/[0-9a-f]{6,}|\d+/g, '#') : 'a file';

/** Calls before and after; what writes bytes is also cut in its middle. */
function around(call, { name, bytes, fd }) {
  return function (...args) {
    const what = name.apply(this, args);
    if (what === undefined) return call.apply(this, args);
    pass(`before ${what}`);
    if (bytes !== undefined) {
      const whole = Buffer.from(bytes.apply(this, args) ?? '');
      pass(`within ${what}`, () => writeSync(fd.apply(this, args), whole.subarray(0, whole.length >> 1)));
    }
    const result = call.apply(this, args);
    if (typeof result?.then !== 'function') {
      pass(`after ${what}`);
      return result;
    }
    return result.then(value => {
      pass(`after ${what}`);
      return value;
    });
  };
}

for (const room of [fs, promises]) {
  const suffix = room === fs ? 'Sync' : '';
  for (const verb of ['rename', 'link', 'unlink', 'mkdir', 'rm', 'truncate', 'writeFile', 'appendFile']) {
    const to = verb === 'rename' || verb === 'link' ? 1 : 0;
    room[verb + suffix] = around(room[verb + suffix], { name: (...args) => `${verb} ${nameOf(args[to])}` });
  }
}

const handle = await promises.open('/dev/null');
const handles = Object.getPrototypeOf(handle);
await handle.close();
const opened = new WeakMap();
const { open } = promises;
promises.open = async (path, ...rest) => {
  const file = await open(path, ...rest);
  opened.set(file, nameOf(path));
  return file;
};
const ofHandle = verb =>
  function () {
    return `${verb} ${opened.get(this)}`;
  };
for (const verb of ['sync', 'datasync', 'truncate'])
  handles[verb] = around(handles[verb], { name: ofHandle(verb) });
for (const verb of ['writeFile', 'appendFile', 'write']) {
  handles[verb] = around(handles[verb], {
    name: ofHandle(verb),
    bytes: data => data,
    fd() {
      return this.fd;
    },
  });
}

const paths = new Map();
const { openSync } = fs;
fs.openSync = (path, ...rest) => {
  const fd = openSync(path, ...rest);
  paths.set(fd, nameOf(path));
  return fd;
};
for (const verb of ['fsyncSync', 'fdatasyncSync', 'ftruncateSync'])
  fs[verb] = around(fs[verb], { name: fd => `${verb} ${paths.get(fd)}` });
fs.writeSync = around(writeSync, {
  name: fd => (paths.has(fd) ? `write ${paths.get(fd)}` : undefined),
  bytes: (_, data) => data,
  fd: fd => fd,
});

const { spawn } = childProcess;
childProcess.spawn = (...args) => {
  const child = spawn(...args);
  const words = Array.isArray(args[1]) ? args[1] : [];
  const name = [args[0], ...words].join(' ').replace(/^stdbuf -oL /, '');
  children.add(child);
  child.on('exit', () => children.delete(child));
  if (child.stdin) cutLines(child.stdin, name);
  if (child.stdout) onRead(child.stdout, `${name}: answers`);
  if (child.stderr) onRead(child.stderr, `${name}: complains`);
  return child;
};

/** A batch of lines can end after each of them. */
function cutLines(stdin, name) {
  const { write } = stdin;
  stdin.write = (text, ...rest) => {
    let before = '';
    for (const line of String(text).split(/(?<=\n)/)) {
      const given = before;
      pass(`${name} < ${line.trim()}`, () => given !== '' && writeSync(stdin._handle.fd, given));
      before += line;
    }
    const result = write.call(stdin, text, ...rest);
    pass(`${name} < that was all`);
    return result;
  };
}

function onRead(stream, name) {
  const { push } = stream;
  stream.push = (...args) => {
    if (args[0] !== null) pass(name);
    return push.apply(stream, args);
  };
}

const { emit } = net.Server.prototype;
net.Server.prototype.emit = function (event, ...args) {
  if (event === 'connection') {
    const [socket] = args;
    const name = nameOf(this.address());
    pass(`${name}: accept`);
    onRead(socket, `${name}: read`);
    for (const verb of ['write', 'end'])
      socket[verb] = around(socket[verb], { name: () => `${name}: ${verb}` });
  }
  return emit.call(this, event, ...args);
};

syncBuiltinESMExports();
obey(process.env.KILLER ?? 'rest');
createInterface({ input: process.stdin }).on('line', command => {
  obey(command);
  say('ok');
});
process.stdin.unref?.();
