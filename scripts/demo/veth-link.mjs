import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ip } from './ip.mjs';

/** A veth pair named like a PPP link, and hooks called as pppd calls them. Not a tun device: /dev/net/tun may be root's alone. */
export class VethLink {
  says = 'pppd brings the link up, and calls the hook';
  #root;
  #directory = mkdtempSync(join(tmpdir(), 'ppp-routed-demo-'));
  directories = {
    RUNTIME_DIRECTORY: join(this.#directory, 'run'),
    STATE_DIRECTORY: join(this.#directory, 'state'),
    CONFIGURATION_DIRECTORY: join(this.#directory, 'etc'),
  };

  constructor(root) {
    this.#root = root;
    for (const path of Object.values(this.directories)) mkdirSync(path);
  }

  up(say) {
    ip('link add ppp0 type veth peer name far-end');
    for (const name of ['ppp0', 'far-end']) ip(`link set ${name} addrgenmode none`);
    ip('link set far-end up');
    ip('address add 10.99.0.2 peer 10.99.0.1 dev ppp0');
    ip('link set ppp0 up');
    this.#callHook('ip-up', say);
  }

  down(say) {
    this.#callHook('ip-down', say);
    ip('link del ppp0');
  }

  close() {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #callHook(name, say) {
    say(`${name} ppp0 "" 0 10.99.0.2 10.99.0.1 work`);
    // pppd's environment is empty but for its own variables.
    execFileSync(join(this.#root, 'hooks', name), ['ppp0', '', '0', '10.99.0.2', '10.99.0.1', 'work'], {
      env: { RUNTIME_DIRECTORY: this.directories.RUNTIME_DIRECTORY, PPPD_PID: '4711' },
    });
  }
}
