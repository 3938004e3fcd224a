// Another machine beside the one of a lab: a network namespace inside the lab's, with a cable to it.
import type { Lab } from './lab.ts';
import type { Started } from './namespace.ts';

/** Prints one word when the namespace is there, and keeps it until its input ends. */
const hold = 'ip link set lo up; echo ready; exec cat';

export class Host {
  readonly #lab: Lab;
  readonly #holder: Started;

  private constructor(lab: Lab, holder: Started) {
    this.#lab = lab;
    this.#holder = holder;
  }

  /** A host on the other end of each of these cables, which the lab has plugged in. */
  static async on(lab: Lab, cables: Record<string, string>): Promise<Host> {
    const holder = lab.start(['unshare', '--net', '/bin/sh', '-euc', hold]);
    await new Promise((resolve, reject) => {
      holder.stdout.once('data', resolve);
      void holder.then(({ stderr, shortMessage }) => reject(new Error(`${shortMessage}: ${stderr}`)));
    });
    const host = new Host(lab, holder);
    for (const [cable, name] of Object.entries(cables)) await host.take(cable, name);
    return host;
  }

  /** Runs a command on the host and returns what it printed; it may not fail. */
  run(...argv: string[]): Promise<string> {
    return this.#lab.run('nsenter', '--target', String(this.#holder.pid), '--net', '--', ...argv);
  }

  /** `ip` with these words. */
  ip(words: string): Promise<string> {
    return this.run('ip', ...words.split(/\s+/).filter(Boolean));
  }

  /** Does it forward IPv4? */
  forward(yes: boolean): Promise<string> {
    return this.run('/bin/sh', '-c', `echo ${Number(yes)} >/proc/sys/net/ipv4/ip_forward`);
  }

  /** Does an echo request come back within a second or two? Why not, if it does not. */
  async ping(address: string): Promise<'answered' | string> {
    const script = `ping -n -c 1 -W 2 ${address} 2>&1 && echo answered || true`;
    const said = (await this.run('/bin/sh', '-c', script)).trim();
    return said.endsWith('\nanswered') ? 'answered' : said;
  }

  /** Takes the other end of a cable, under a name of its own. */
  async take(cable: string, name: string): Promise<void> {
    await this.#lab.ip(`link set ${cable} netns ${this.#holder.pid} name ${name}`);
    await this.run('/bin/sh', '-c', `echo 1 >/proc/sys/net/ipv6/conf/${name}/disable_ipv6`);
    await this.ip(`link set ${name} up`);
  }
}
