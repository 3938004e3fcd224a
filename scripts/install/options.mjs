import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Trouble } from './trouble.mjs';

/** Options of setup or unsetup. `root` is '' for this machine, else the directory that files are staged under. */
export function readOptions(usage) {
  const options = { root: { type: 'string' }, help: { type: 'boolean' } };
  if (usage.includes('--no-build')) options['no-build'] = { type: 'boolean' };
  if (usage.includes('--distribution')) options.distribution = { type: 'string' };
  if (usage.includes('--force')) options.force = { type: 'boolean' };
  let values;
  try {
    ({ values } = parseArgs({ options }));
  } catch (error) {
    throw new Trouble({ what: 'cannot read the options', why: error.message, todo: usage });
  }
  if (values.help) {
    console.log(usage);
    process.exit();
  }
  return {
    isStaging: values.root !== undefined,
    root: (values.root ?? '').replace(/\/+$/, ''),
    distribution: values.distribution,
    force: values.force === true,
    build: !values['no-build'],
  };
}

/** That this is a machine, and a user, that can have a service set up or taken away. */
export function requireRootAndSystemd(command) {
  const todo = `Run: sudo ${command}`;
  if (process.getuid?.() !== 0)
    throw new Trouble({ what: 'cannot change this machine', why: 'you are not root', todo });
  if (!existsSync('/run/systemd/system'))
    throw new Trouble({
      what: 'cannot manage the service',
      why: 'systemd does not run here',
      todo: `For a package or an image, name the directory to stage the files in: ${command} -- --root DIR`,
    });
}
