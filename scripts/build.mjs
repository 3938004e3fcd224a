// Bundles the programs, one file each, so that `node dist/ppp-routed.js` needs nothing beside it.
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const programs = ['ppp-routed', 'ppp-routectl', 'ppp-routed-resolve'];

await rm(`${root}dist`, { recursive: true, force: true });
await mkdir(`${root}dist`);
await build({
  absWorkingDir: root,
  entryPoints: programs.map(name => `src/${name}.ts`),
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  target: 'node18.19',
  // Not ESM: there every module of Node's is loaded at the start, also for what is imported later or never.
  format: 'cjs',
  sourcemap: true,
  logLevel: 'warning',
  banner: { js: '#!/usr/bin/env node' },
});
await writeFile(`${root}dist/package.json`, '{ "type": "commonjs" }\n');
for (const name of programs) await chmod(`${root}dist/${name}.js`, 0o755);
