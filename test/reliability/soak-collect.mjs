// `node --import soak-collect.mjs`: collects garbage at SIGUSR2. V8 lets tens of megabytes of it stand, sometimes more and
// sometimes less, and growth could not be seen beside that.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
process.on('SIGUSR2', () => collect());
