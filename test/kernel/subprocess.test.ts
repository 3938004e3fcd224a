import t from 'tap';
import { startSubprocess } from '../../src/kernel/subprocess.ts';

/** What cannot be started, and what is said of it. The second is thrown by spawn(), as ENOMEM would be. */
const impossible: Record<string, { argv: string[]; says: RegExp }> = {
  'no such program': { argv: ['/nonexistent/ip'], says: /ENOENT/ },
  'no room for its arguments': { argv: ['true', 'x'.repeat(1 << 20)], says: /E2BIG/ },
};

for (const [what, { argv, says }] of Object.entries(impossible)) {
  t.test(`a process that cannot be started has ended: ${what}`, async t => {
    const started = startSubprocess(argv, process.env);
    started.stdin.on('error', () => undefined);
    started.stdin.write('what is written goes nowhere');
    started.kill('SIGKILL');
    t.match(await started.ended, { exitCode: undefined, hasRun: false, message: says });
  });
}
