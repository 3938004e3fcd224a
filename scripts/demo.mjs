// `npm run demo`: the main job, in a network namespace of its own, or in User-Mode Linux where the machine allows none. The
// machine's routes are not touched.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { PppdLink } from './demo/pppd-link.mjs';
import { show } from './demo/show.mjs';
import { VethLink } from './demo/veth-link.mjs';
import { runInGuest } from './guest.mjs';
import {
  installPackages,
  isMissing,
  isolate,
  isRoot,
  makeReady,
  missingPackages,
  obstacleToNamespaces,
  programsOfGuest,
} from './machine.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const self = fileURLToPath(import.meta.url);

if (process.argv[2] === '--namespace') await show(new VethLink(root));
else if (process.argv[2] === '--guest') await show(new PppdLink(root));
else await enter();

async function enter() {
  need(['ip', 'unshare', 'stdbuf']);
  makeReady();
  const obstacle = obstacleToNamespaces();
  if (obstacle === undefined) {
    const { status } = spawnSync('unshare', [...isolate, process.execPath, self, '--namespace'], {
      stdio: 'inherit',
    });
    process.exit(status ?? 1);
  }
  const programs = [...programsOfGuest(), 'pppd'];
  if (!isRoot && programs.some(isMissing)) {
    console.error(`${obstacle}; as root it runs, and does not touch the machine's routes: sudo npm run demo`);
    process.exit(1);
  }
  need(programs);
  console.log(`${obstacle}: the demo runs in User-Mode Linux, with two real pppds`);
  process.exitCode = await runInGuest([process.execPath, self, '--guest']);
}

function need(programs) {
  installPackages(missingPackages(programs));
  const missing = programs.filter(isMissing);
  if (missing.length === 0) return;
  const command = `${isRoot ? '' : 'sudo '}apt-get install ${missingPackages(missing).join(' ')}`;
  console.error(`the demo needs ${missing.join(', ')}; on Debian: ${command}`);
  process.exit(1);
}
