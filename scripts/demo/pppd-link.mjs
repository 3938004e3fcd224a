import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Two real pppds back to back, with the hooks where setup puts them: only in a guest, whose files are thrown away. */
export class PppdLink {
  says = 'pppd brings the link up, and calls the hook';
  directories = {
    RUNTIME_DIRECTORY: '/run/ppp-routed',
    STATE_DIRECTORY: '/var/lib/ppp-routed',
    CONFIGURATION_DIRECTORY: '/etc/ppp-routed',
  };
  #pppd;

  constructor(root) {
    execFileSync(process.execPath, [join(root, 'scripts/setup.mjs'), '--no-build', '--root', '/'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    for (const path of Object.values(this.directories)) mkdirSync(path, { recursive: true });
    const far = `${join(root, 'scripts/guest/far-pppd')} 10.99.0.1:10.99.0.2`;
    writeFileSync('/etc/ppp/peers/work', `noauth noipdefault local ipparam work pty "exec ${far}"\n`);
  }

  up(say) {
    say('pppd call work');
    this.#pppd = spawn('pppd', ['nodetach', 'call', 'work'], { stdio: 'ignore' });
  }

  async down(say) {
    say('kill PPPD');
    const ended = new Promise(resolve => this.#pppd.on('close', resolve));
    this.#pppd.kill('SIGTERM');
    await ended;
  }

  close() {
    this.#pppd?.kill('SIGKILL');
  }
}
