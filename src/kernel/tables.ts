import type { Family } from '../core/route/prefix.ts';
import { ownProtocol } from '../core/route/route.ts';
import type { IpBatch } from './ip-batch.ts';
import { IpError } from './ip-process.ts';
import { parseForwarding } from './parse.ts';

/** What `ip` printed of the whole of the kernel's tables, a line each. */
export interface Reading {
  links: readonly string[];
  addresses: readonly string[];
  routes: Readonly<Record<Family, readonly string[]>>;
  rules: Readonly<Record<Family, readonly string[]>>;
  proxyNeighbours: Readonly<Record<Family, readonly string[]>>;
}

type Unannounced = Pick<Reading, 'proxyNeighbours'> & { forwarding: Set<string> };

const routesOf = 'route show table main';
const ownRoutesOf = `route show table all proto ${ownProtocol.number}`;
const rulesOf = 'rule show';
const proxiesOf = 'neigh show proxy';
const forwardingOf = 'netconf show';
const wholeOf = {
  inet: ['link show', 'address show', routesOf, ownRoutesOf, rulesOf, proxiesOf],
  inet6: ['address show', routesOf, ownRoutesOf, rulesOf, proxiesOf],
} as const;
/** How often a table is asked for that changes while it is printed. */
const attempts = 4;

type Look = (command: string) => string[];

/** The kernel's tables as `ip` prints them. Every question throws an IpError where ip cannot be asked. */
export class Tables {
  readonly #batches: Record<Family, IpBatch>;

  constructor(batches: Record<Family, IpBatch>) {
    this.#batches = batches;
  }

  /** The whole of them, as far as they can matter. */
  async read(): Promise<Reading> {
    const [inet, inet6] = await Promise.all([
      this.#look('inet', wholeOf.inet),
      this.#look('inet6', wholeOf.inet6),
    ]);
    const both = (command: string) => ({ inet: inet(command), inet6: inet6(command) });
    // ip leaves out what it was asked to filter by.
    const owned = (line: string) => `${line} proto ${ownProtocol.number}`;
    return {
      links: inet('link show'),
      addresses: [...inet('address show'), ...inet6('address show')],
      routes: {
        inet: [...inet(routesOf), ...inet(ownRoutesOf).map(owned)],
        inet6: [...inet6(routesOf), ...inet6(ownRoutesOf).map(owned)],
      },
      rules: both(rulesOf),
      proxyNeighbours: both(proxiesOf),
    };
  }

  async rules(family: Family): Promise<string[]> {
    return (await this.#look(family, [rulesOf]))(rulesOf);
  }

  /** What the monitor does not announce: the proxy neighbours, and the interfaces that forward (ip-netconf(8)). */
  async unannounced({ forwarding }: { forwarding: boolean }): Promise<Unannounced> {
    const [inet, inet6] = await Promise.all([
      this.#look('inet', forwarding ? [forwardingOf, proxiesOf] : [proxiesOf]),
      this.#look('inet6', [proxiesOf]),
    ]);
    return {
      proxyNeighbours: { inet: inet(proxiesOf), inet6: inet6(proxiesOf) },
      forwarding: new Set(inet(forwardingOf).flatMap(line => parseForwarding(line) ?? [])),
    };
  }

  /** Asks anew where the table changed under the dump: half a table must not be taken for the whole. */
  async #look(family: Family, commands: readonly string[]): Promise<Look> {
    for (let attempt = 1; ; attempt++) {
      const answers = await this.#batches[family].ask(commands);
      const failed = answers.find(({ error }) => error !== undefined && !isNoSuchFamily(error));
      if (failed === undefined) return command => answers[commands.indexOf(command)]?.lines ?? [];
      if (attempt === attempts) throw new IpError(`the kernel's routes cannot be read: ${failed.error}`);
    }
  }
}

/** A kernel without IPv6 has no IPv6 routes. */
function isNoSuchFamily(error: string): boolean {
  return /not supported|Address family|table does not exist/i.test(error);
}
