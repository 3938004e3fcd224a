import {
  type Interface,
  type Observed,
  type ProxyNeighbour,
  type Rule,
  replaceInterface,
} from '../core/route/observed.ts';
import { type Family, families, type Prefix } from '../core/route/prefix.ts';
import { gatewaysOf, identityOf, type Route } from '../core/route/route.ts';
import { parseRoute } from '../core/route/route-line.ts';
import { AddressTable } from './address-table.ts';
import { parseAddress, parseInterface, parseProxyNeighbour, parseRule } from './parse.ts';
import { type Position, RouteTable } from './route-table.ts';
import type { Reading } from './tables.ts';

/*
 * INVARIANTS
 * 1. What a line of the monitor does not tell for certain makes a doubt, and a doubt has the whole of the tables read.
 * 2. A line that was heard twice, or that a reading had already, changes nothing.
 * 3. What is handed out is never changed afterwards.
 */

interface Device {
  face: Interface;
  /** In bytes. */
  mtu: number;
  hasCarrier: boolean;
}

/** addrconf_add_linklocal() adds one for every interface, all of one metric. */
const linkLocal = /^fe80::\/\d+ dev \S+ proto kernel metric 256 (linkdown )?pref medium *$/;

/** The kernel's tables as they were read, kept up by what `ip monitor` has said since. */
export class KernelCache {
  /** Another number is another state of the kernel, as far as it matters here. */
  version = 0;
  /** Why the tables must be read, if so. */
  doubt: string | undefined = 'nothing was read yet';
  /** The rules must be asked for: the monitor does not say which of two alike went. */
  rulesAreOld = false;
  /** The proxy neighbours must be asked for: the monitor does not announce them. */
  proxyNeighboursAreOld = false;
  readonly #onLink: (face: Interface) => void;
  /** By the index of the interface. */
  readonly #devices = new Map<number, Device>();
  #addresses = new AddressTable();
  #tables: Record<Family, RouteTable> = { inet: new RouteTable('inet'), inet6: new RouteTable('inet6') };
  readonly #rules: Record<Family, readonly Rule[]> = { inet: [], inet6: [] };
  #proxyNeighbours: readonly ProxyNeighbour[] = [];
  /** Where among others of their metric our own go, by identity. */
  #expected: ReadonlyMap<string, Position> = new Map();
  #interfaceList: Interface[] | undefined;

  /** `onLink`: told of every interface that is read or heard of. */
  constructor(onLink: (face: Interface) => void) {
    this.#onLink = onLink;
  }

  /** The whole of the tables, as they were read just now. */
  take(reading: Reading): void {
    // What is read may raise a doubt itself: of a name, by which it has been read.
    this.doubt = undefined;
    this.#devices.clear();
    this.#interfaceList = undefined;
    this.#addresses = new AddressTable();
    this.#tables = { inet: new RouteTable('inet'), inet6: new RouteTable('inet6') };
    for (const line of reading.links) this.#hearLink(line, false);
    for (const line of reading.addresses) this.#hearAddress(line, false);
    for (const family of families) {
      for (const line of reading.routes[family]) this.#tables[family].add(line, 'last');
      this.takeRules(family, reading.rules[family]);
    }
    this.takeProxyNeighbours(reading.proxyNeighbours);
    this.version++;
  }

  /** What is otherwise in a reading, if anything is. */
  differenceFrom(reading: Reading): string | undefined {
    const other = new KernelCache(() => undefined);
    other.take({ ...reading, routes: { inet: [], inet6: [] } });
    const words = ({ interfaces, addresses, rules }: Observed) =>
      [interfaces, addresses, rules].flatMap((things, i) => {
        const lines = things.map(thing => JSON.stringify(thing));
        return i < 2 ? lines.sort() : lines;
      });
    const [known, there] = [words(this.observed([])), words(other.observed([]))];
    const at = there.findIndex((line, i) => line !== known[i]);
    if (at >= 0 || known.length > there.length)
      return `${known[at < 0 ? there.length : at] ?? 'nothing'} instead of ${there[at] ?? 'nothing'}`;
    for (const family of families) {
      const difference = this.#tables[family].differenceFrom(reading.routes[family]);
      if (difference !== undefined) return difference;
    }
    return undefined;
  }

  /** The rules of a family, as they were read just now. */
  takeRules(family: Family, lines: readonly string[]): void {
    this.#rules[family] = lines.flatMap(line => parseRule(line, family) ?? []);
  }

  /** The proxy neighbours, as they were read just now: the monitor says nothing of them. */
  takeProxyNeighbours(lines: Reading['proxyNeighbours']): void {
    this.proxyNeighboursAreOld = false;
    this.#proxyNeighbours = families.flatMap(family =>
      lines[family].flatMap(line => parseProxyNeighbour(line, family) ?? []),
    );
  }

  /** These routes are about to be prepended or appended: where each stands among others of its metric is known. */
  expect(routes: readonly { route: Route; position: Position }[]): void {
    this.#expected = new Map(routes.map(({ route, position }) => [identityOf(route), position]));
  }

  /** One line of `ip -o monitor label link address route rule nexthop`. */
  hear(line: string): void {
    const [, label, deletedWord, text = ''] = /^\[(\w+)\](Deleted )?(.*)$/.exec(line) ?? [];
    const deleted = deletedWord !== undefined;
    if (label === 'ROUTE') this.#hearRoute(text, deleted);
    else if (label === 'LINK') this.#hearLink(text, deleted);
    else if (label === 'ADDR') this.#hearAddress(text, deleted);
    else if (label === 'RULE') {
      this.rulesAreOld = true;
      this.version++;
    } else if (label === 'NEXTHOP') {
      if (this.#usesNexthopObjects) this.suspect('a nexthop object changed');
    } else if (/No buffer space|netlink receive error/.test(line)) this.suspect('lines were lost');
  }

  /** Something may be otherwise than it is known. */
  suspect(doubt: string): void {
    this.doubt ??= doubt;
    this.version++;
  }

  /** What is known, as far as it matters to these destinations: of foreign routes only the defaults, and those that cover one. */
  observed(destinations: Iterable<Prefix>): Observed {
    this.#interfaceList ??= [...this.interfaces];
    const tables = families.map(family => this.#tables[family]);
    const routes = new Set<Route>(tables.flatMap(table => table.defaults));
    for (const prefix of [...destinations, ...[...routes].flatMap(gatewaysOf)])
      for (const route of this.#tables[prefix.family].covering(prefix)) routes.add(route);
    for (const table of tables) for (const route of table.own) routes.add(route);
    return {
      interfaces: this.#interfaceList,
      addresses: this.#addresses.list,
      routes: [...routes],
      rules: families.flatMap(family => this.#rules[family]),
      proxyNeighbours: [...this.#proxyNeighbours],
    };
  }

  get interfaces(): Interface[] {
    return Array.from(this.#devices.values(), ({ face }) => face);
  }

  get #usesNexthopObjects(): boolean {
    return families.some(family => this.#tables[family].usesNexthopObjects);
  }

  #hearLink(text: string, deleted: boolean): void {
    const face = parseInterface(text);
    // Without a group it is a bridge's word about its port, which is deleted when it leaves the bridge.
    if (face === undefined || !text.includes(' group ')) return;
    const known = this.#devices.get(face.ifindex);
    if (deleted) {
      if (known === undefined) return;
      this.#devices.delete(face.ifindex);
      this.#addresses.deleteAllOn(known.face.name);
      this.#forgetRoutesThrough(known.face.name, families);
      this.#noteInterface(known.face, undefined);
      return;
    }
    this.#onLink(face);
    const mtu = Number(/ mtu (\d+)/.exec(text)?.[1]);
    const isSame = known?.face.name === face.name && known.face.up === face.up;
    const device = { face: isSame ? known.face : face, mtu, hasCarrier: !/^[^>]*\bNO-CARRIER\b/.test(text) };
    this.#devices.set(face.ifindex, device);
    if (known !== undefined) this.#noteLowerLayer(known, device);
    if (isSame) return;
    this.#noteInterface(known?.face, face);
    if (known === undefined) return;
    if (known.face.name !== face.name) this.suspect(`${known.face.name} is ${face.name} now`);
    // The IPv4 routes that an interface takes with it are not announced, those of IPv6 only if the sysctl says so.
    if (known.face.up && !face.up) this.#forgetRoutesThrough(face.name, families);
    if (face.name === 'lo') this.suspect('the loopback device changed');
  }

  #noteInterface(gone: Interface | undefined, come: Interface | undefined): void {
    this.#interfaceList &&= replaceInterface(this.#interfaceList, { gone, come });
    this.version++;
  }

  #noteLowerLayer(known: Device, { face: { name }, mtu, hasCarrier }: Device): void {
    if (known.mtu !== mtu) {
      // addrconf_notify(): below 1280 there is no IPv6, as if the device were down.
      if (mtu < 1280) this.#forgetRoutesThrough(name, ['inet6']);
      // rt6_mtu_change() follows with the routes' own, and says nothing.
      else if (this.#tables.inet6.hasMtuThrough(name)) this.suspect(`the MTU of ${name} changed`);
    }
    // nh_netdev_event() ends nexthop objects with the carrier, and says nothing.
    if (known.hasCarrier && !hasCarrier && this.#usesNexthopObjects)
      this.suspect(`nexthop objects may have ended with the carrier of ${name}`);
  }

  #hearAddress(text: string, deleted: boolean): void {
    // One that goes may have been checked anew.
    const address = parseAddress(deleted ? text.replace(' tentative', '') : text);
    if (address === undefined) return;
    if (!(deleted ? this.#addresses.delete(address) : this.#addresses.set(address))) return;
    this.version++;
    if (!deleted) return;
    const { dev, family } = address;
    // fib_sync_down_addr() takes IPv4 routes away; rt6_remove_prefsrc() changes those of IPv6.
    if (!this.#addresses.has(address)) {
      const outcome = this.#tables[family].forget(`src ${address.address}`);
      if (outcome === 'doubt' || (outcome && family === 'inet6'))
        this.suspect(`${address.address} is no longer here`);
    }
    // fib_disable_ip(): with its last IPv4 address a device loses all routes.
    if (family === 'inet' && !this.#addresses.hasAnyOn(dev, 'inet')) this.#forgetRoutesThrough(dev, ['inet']);
  }

  #hearRoute(text: string, deleted: boolean): void {
    if (/^(local|broadcast|multicast|anycast) | table local /.test(text)) return;
    // The kernel gives every IPv6 route a preference, and no IPv4 route one.
    const family = / pref (low|medium|high|\d+)\b/.test(text) ? 'inet6' : 'inet';
    const table = this.#tables[family];
    const outcome = deleted ? table.delete(text) : table.add(text, this.#positionOf(text, family));
    if (outcome === 'doubt') this.suspect(`what became of the routes beside ${text.trim()}`);
    else if (outcome) this.version++;
  }

  /** Where a route stands of which there may be others of its metric. */
  #positionOf(text: string, family: Family): Position {
    if (family === 'inet6') return linkLocal.test(text) ? 'last' : 'alone';
    if (this.#expected.size === 0) return 'alone';
    const route = parseRoute(text, family);
    return (route && this.#expected.get(identityOf(route))) ?? 'alone';
  }

  #forgetRoutesThrough(dev: string, of: readonly Family[]): void {
    for (const family of of) {
      const outcome = this.#tables[family].forget(`dev ${dev}`);
      if (outcome === 'doubt') this.suspect(`what is left of the routes through ${dev}`);
      else if (outcome) this.version++;
    }
  }
}
