// `npm run bench`: measures side by side with the scripts that others use, and writes docs/performance.md. Rows can be
// named: `npm run bench -- pair`; then nothing is written. Plain Node until the dependencies are there.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installPackages, makeReady } from './machine.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
makeReady();
installPeers();

// tap compiles its tests; what is measured by plain Node is compiled here.
const { build } = await import('esbuild');
const outfile = join(root, 'build/bench/bench.mjs');
await build({
  absWorkingDir: root,
  entryPoints: ['test/bench/bench.ts'],
  outfile,
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  format: 'esm',
  packages: 'external',
  sourcemap: true,
  logLevel: 'warning',
});
const { status } = spawnSync(process.execPath, ['--enable-source-maps', outfile, ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
});
process.exit(status ?? 1);

/** Debian's vpnc-script; without it that one comparison is missing. */
function installPeers() {
  if (existsSync('/usr/share/vpnc-scripts/vpnc-script') || installPackages(['vpnc-scripts'])) return;
  console.error(
    'vpnc-script is not installed and is not measured; on Debian: sudo apt-get install vpnc-scripts',
  );
}
