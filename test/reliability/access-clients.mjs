// access-clients.mjs SOCKET KIND COUNT: that many clients at once that are no good, until its input ends. One that is shut
// out comes back at once, one that is turned away at the door within a second. Says "connected" when all are there, and at
// its end how many were, on the average of every tenth of a second since, and how often one came.
import { connect } from 'node:net';

const [path, kind, count] = process.argv.slice(2);
const event = 'version=1\nevent=ip-down\ninterface=nobody\n\n';
const kinds = {
  /** Says nothing. */
  silent() {},
  /** A byte now and then. */
  slow(socket) {
    let sent = 0;
    const timer = setInterval(() => socket.write(event[sent++] ?? '\n'), 50);
    socket.on('close', () => clearInterval(timer));
  },
  /** A whole event, and then neither reads nor goes. */
  deaf(socket) {
    socket.pause();
    socket.write(event);
    // Node would see the end only if it read.
    setTimeout(() => socket.destroy(), 2000);
  },
  /** As much as the daemon takes. */
  flooding(socket) {
    socket.write('x'.repeat(65_536));
  },
};

let connections = 0;
let here = 0;
const counts = [];
setInterval(() => counts.push(here), 100);
for (let client = 0; client < Number(count); client++) come();
process.stdin.on('end', () => {
  console.log(Math.round(counts.reduce((sum, count) => sum + count, 0) / counts.length), connections);
  process.exit();
});
process.stdin.resume();

function come() {
  const socket = connect({ path, allowHalfOpen: true });
  let since = 0;
  socket.on('connect', () => {
    connections++;
    here++;
    since = performance.now();
    if (connections === Number(count)) console.log('connected');
    kinds[kind](socket);
  });
  socket.on('data', () => undefined);
  socket.on('error', () => undefined);
  socket.on('end', () => socket.destroy());
  socket.on('close', () => {
    if (since > 0) here--;
    setTimeout(come, performance.now() - since < 500 ? 1000 * Math.random() : 0);
  });
}
