// Loaded into the daemon with `node --import`. It passes a named point at every boundary (each line to `ip` and each
// piece of its answers, each write, fsync, rename, link and unlink, each socket read and reply) and ends the process with
// SIGKILL at the point that it is told to, or lets a call of node:fs fail there.
//
// Told on standard input, a line each, and answered on standard error by `killer: ok`:
//   trace           forget what was passed; from now on say every point: `killer: point NAME`
//   arm SPEC        forget what was passed; SPEC is `keep|kill NTH NAME`: die at the NTH passing of NAME (`any`: of
//                   whatever); `kill`: and the children with it, else they go on with what they were given
//   fail CODE NAME  from now on that call fails with this code
//   rest            none of these
// KILLER=SPEC, KILLER=trace in the environment: from the start.
import childProcess from 'node:child_process';
import fs from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';

const { openSync, writeSync } = fs;
const children = new Set();
const passed = new Map();
let passedAll = 0;
let tracing = false;
let victimAt;
let failing;

function obey(command) {
  passed.clear();
  passedAll = 0;
  const spec = /^(keep|kill) (\d+) (.*)$/.exec(command);
  const fault = /^fail (\w+) (.*)$/.exec(command);
  failing = fault === null ? undefined : { code: fault[1], name: fault[2] };
  tracing = command === 'trace';
  victimAt =
    spec === null ? undefined : { children: spec[1] === 'kill', nth: Number(spec[2]), name: spec[3] };
}

/**
 * `lastAct`: what happens of the step before the process dies in it.
 * @returns the error that the step has to end in.
 */
function pass(name, lastAct) {
  const nth = (passed.get(name) ?? 0) + 1;
  passed.set(name, nth);
  passedAll++;
  if (tracing) say(`point ${name}`);
  if (failing?.name === name) {
    lastAct?.();
    say(`failed ${name}`);
    return Object.assign(new Error(`${failing.code}: ${name}`), { code: failing.code });
  }
  if (victimAt === undefined) return undefined;
  const isHere =
    victimAt.name === 'any' ? victimAt.nth === passedAll : victimAt.name === name && victimAt.nth === nth;
  if (!isHere) return undefined;
  lastAct?.();
  say(`died at ${name}`);
  if (victimAt.children) for (const child of children) child.kill('SIGKILL');
  process.kill(process.pid, 'SIGKILL');
  return undefined;
}

function say(text) {
  writeSync(2, `killer: ${text}\n`);
}

/** The path of every descriptor that was opened: by number, or by its handle. */
const opened = new Map();

/** Temporary files have random names. What was not opened by a path here (a socket, the manager's) has none. */
function nameOf(file) {
  const path = typeof file === 'string' ? file : opened.get(file);
  return path === undefined ? undefined : basename(path).replace(/[0-9a-f]{6,}|\d+/g, '#');
}

/** In each of Node's three manners: with a promise, with a callback, and at once. */
function watch(call, { verb, at = 0, bytesAt, isPromised = false }) {
  return function (...args) {
    const file = typeof this?.fd === 'number' ? this : args[at];
    const name = nameOf(file);
    if (name === undefined) return call.apply(this, args);
    const what = `${verb} ${name}`;
    const callback = args.at(-1);
    const fault =
      pass(`before ${what}`) ??
      (bytesAt === undefined ? undefined : pass(`within ${what}`, () => writeHalf(file, args[bytesAt])));
    if (fault !== undefined) {
      if (typeof callback === 'function') return process.nextTick(callback, fault);
      if (isPromised) return Promise.reject(fault);
      throw fault;
    }
    if (typeof callback === 'function') {
      return call.call(this, ...args.slice(0, -1), (...results) => {
        pass(`after ${what}`);
        return callback(...results);
      });
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

function writeHalf(file, bytes) {
  const whole = Buffer.from(bytes);
  const fd = typeof file === 'string' ? openSync(file, 'w') : (file.fd ?? file);
  writeSync(fd, whole.subarray(0, whole.length >> 1));
}

const verbs = [
  { verb: 'rename', at: 1 },
  { verb: 'link', at: 1 },
  { verb: 'symlink', at: 1 },
  ...['unlink', 'mkdir', 'rm', 'rmdir', 'truncate', 'fsync', 'fdatasync', 'ftruncate'].map(verb => ({
    verb,
  })),
  ...['writeFile', 'appendFile', 'write'].map(verb => ({ verb, bytesAt: 1 })),
];
for (const one of verbs) {
  for (const [room, name] of [
    [promises, one.verb],
    [fs, one.verb],
    [fs, `${one.verb}Sync`],
  ])
    if (name in room) room[name] = watch(room[name], { ...one, isPromised: room === promises });
}

const { open } = promises;
promises.open = async (path, ...rest) => {
  const fault = pass(`before open ${nameOf(String(path))}`);
  if (fault !== undefined) throw fault;
  const handle = await open(path, ...rest);
  opened.set(handle, String(path));
  return handle;
};
fs.open = new Proxy(fs.open, {
  apply: (call, self, [path, ...rest]) =>
    call.call(self, path, ...rest.slice(0, -1), (error, fd) => {
      if (!error) opened.set(fd, String(path));
      rest.at(-1)(error, fd);
    }),
});
fs.openSync = (path, ...rest) => {
  const fault = pass(`before open ${nameOf(String(path))}`);
  if (fault !== undefined) throw fault;
  const fd = openSync(path, ...rest);
  opened.set(fd, String(path));
  return fd;
};

const handle = await open('/dev/null');
const handles = Object.getPrototypeOf(handle);
await handle.close();
const isPromised = true;
for (const verb of ['sync', 'datasync', 'truncate'])
  handles[verb] = watch(handles[verb], { verb, isPromised });
for (const verb of ['writeFile', 'appendFile', 'write'])
  handles[verb] = watch(handles[verb], { verb, bytesAt: 0, isPromised });

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
    for (const verb of ['write', 'end']) {
      const { [verb]: call } = socket;
      socket[verb] = (...words) => {
        pass(`${name}: before ${verb}`);
        const result = call.apply(socket, words);
        pass(`${name}: after ${verb}`);
        return result;
      };
    }
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
