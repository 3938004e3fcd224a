import { memoize } from './memoize.ts';
import type { Family } from './prefix.ts';
import { isOwn, type Route } from './route.ts';

/** A network interface, from `ip link show`. */
export interface Interface {
  ifindex: number;
  name: string;
  /** IFF_UP: set by the administrator or by pppd. Without it the kernel has no routes through the interface. */
  up: boolean;
}

/** An address on an interface, from `ip address show`. */
export interface Address {
  dev: string;
  family: Family;
  address: string;
  /** Of the prefix that the address is in; of the peer on a point-to-point link. */
  length: number;
  peer?: string;
}

/** A routing rule, from `ip rule show`. */
export interface Rule {
  family: Family;
  priority: number;
  protocol: string;
  /** The selector and the action as `ip rule add` takes them, without priority and protocol. */
  selector: string;
}

/** An address that the machine answers ARP or neighbour solicitations for, from `ip neigh show proxy`. */
export interface ProxyNeighbour {
  family: Family;
  address: string;
  dev: string;
  protocol: string;
}

/** What the kernel has now. */
export interface Observed {
  interfaces: Interface[];
  addresses: Address[];
  /** Own routes in any table, and of the main table the defaults and what covers a destination that was asked for, or all. */
  routes: Route[];
  rules: Rule[];
  proxyNeighbours: ProxyNeighbour[];
  /** Interfaces that forward IPv4; a proxy neighbour answers only there. undefined: nobody asked. */
  forwarding?: Set<string>;
}

/** The routes that are not ours. */
export function foreignRoutes({ routes }: Observed): readonly Route[] {
  return foreignAmong(routes);
}

const foreignAmong = memoize((routes: readonly Route[]) => routes.filter(route => !isOwn(route)));

/** Can packets leave through this device, as far as the kernel is concerned? */
export function isUp({ interfaces }: { interfaces: readonly Interface[] }, dev: string): boolean {
  return interfaceNamed(interfaces, dev)?.up === true;
}

export function interfaceNamed(interfaces: readonly Interface[], name: string): Interface | undefined {
  return indexOf(interfaces).byName.get(name);
}

export function interfaceAt(interfaces: readonly Interface[], ifindex: number): Interface | undefined {
  return indexOf(interfaces).byIndex.get(ifindex);
}

/** The list in which an interface has gone, has come, or has changed in its place. It takes the index of the other over. */
export function replaceInterface(
  interfaces: readonly Interface[],
  { gone, come }: { gone: Interface | undefined; come: Interface | undefined },
): Interface[] {
  const after = [...interfaces];
  const place = gone === undefined ? after.length : after.indexOf(gone);
  after.splice(place, gone === undefined ? 0 : 1, ...(come === undefined ? [] : [come]));
  const index = indexes.get(interfaces);
  if (index === undefined) return after;
  indexes.delete(interfaces);
  indexes.set(after, index);
  if (gone !== undefined) index.byIndex.delete(gone.ifindex);
  // Another one may have its name by now.
  if (gone !== undefined && index.byName.get(gone.name) === gone) index.byName.delete(gone.name);
  if (come !== undefined) enter(index, come);
  return after;
}

interface InterfaceIndex {
  byName: Map<string, Interface>;
  byIndex: Map<number, Interface>;
}

const indexes = new WeakMap<readonly Interface[], InterfaceIndex>();

function indexOf(interfaces: readonly Interface[]): InterfaceIndex {
  const known = indexes.get(interfaces);
  if (known !== undefined) return known;
  const index: InterfaceIndex = { byName: new Map(), byIndex: new Map() };
  for (const face of interfaces) enter(index, face);
  indexes.set(interfaces, index);
  return index;
}

function enter({ byName, byIndex }: InterfaceIndex, face: Interface): void {
  byName.set(face.name, face);
  byIndex.set(face.ifindex, face);
}
