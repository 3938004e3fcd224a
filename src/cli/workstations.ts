import { forwardingCommand } from '../core/decide/proxy-neighbour.ts';
import { formatPrefix, parsePrefix } from '../core/route/prefix.ts';
import { nameOf } from '../core/tell/meaning.ts';
import type { Sight } from '../core/tell/snapshot.ts';
import { type Workstations, workstationsOf } from '../core/tell/workstations.ts';
import { CommandError, exitStatus } from './command-error.ts';
import { describeHosts, describeRoutes, jsonOfHosts, jsonOfRoutes } from './host-routes.ts';
import { askSight, printJson, type Room } from './room.ts';
import type { Terminal } from './terminal.ts';

export interface WorkstationsRoom extends Room {
  /** Does this interface forward IPv4; undefined where the kernel does not say. */
  forwards(dev: string): Promise<boolean | undefined>;
}

export interface WorkstationsOptions {
  /** The far gateway's address on its own LAN. */
  gateway?: string;
  lan?: string;
  json?: boolean;
}

/** The routes that hosts on both sides of a link need to reach each other, in every spelling. */
export async function workstations(
  room: WorkstationsRoom,
  { link: name, lan, json, ...options }: WorkstationsOptions & { link: string },
): Promise<number> {
  const gateway = options.gateway === undefined ? undefined : readAddress(options.gateway);
  const sight = await askSight(room);
  const link = linkOf(sight, name);
  const answer = workstationsOf({ link, gateway, lan }, sight);
  if (gateway !== undefined && !answer.remote.some(hosts => hosts.gateway === gateway)) {
    const networks = answer.remote.map(({ network }) => formatPrefix(network)).join(', ');
    throw new CommandError(
      'usage',
      `${gateway} is in no network behind ${nameOf(link)} (${networks || 'none is known'})`,
      "Give the far gateway's address on its own LAN",
    );
  }
  if (lan !== undefined && answer.local.length === 0) {
    const message = `${lan} is no LAN with hosts: it is down, has no address, or is a link`;
    throw new CommandError('usage', message, 'See what there is: ip -brief address');
  }
  const deaf = await deafInterfaces(room, answer, link.interface);
  const about = { ...answer, notes: [...deaf, ...answer.notes] };
  if (json) printJson(room, jsonOf(about, nameOf(link)));
  else room.terminal.print(describe(about, { name: nameOf(link), terminal: room.terminal }));
  return exitStatus.fine;
}

function readAddress(text: string): string {
  const address = text.includes('/') ? undefined : parsePrefix(text);
  if (address !== undefined) return formatPrefix(address);
  const message = `${JSON.stringify(text)} is not an address`;
  throw new CommandError('usage', message, "Give the far gateway's address on its own LAN");
}

function linkOf({ links }: Sight, name: string): Sight['links'][number] {
  const found =
    links.find(link => link.interface === name) ?? links.find(({ profile }) => profile?.name === name);
  if (found !== undefined) return found;
  const known = links.map(nameOf).join(', ');
  throw new CommandError(
    'trouble',
    `no link ${JSON.stringify(name)} is up`,
    known === ''
      ? 'No link is up: what its ends are is known when pppd has brought it up'
      : `There is ${known}`,
  );
}

/** No route helps where this machine does not pass packets on. */
async function deafInterfaces(
  room: WorkstationsRoom,
  { local }: Workstations,
  link: string,
): Promise<string[]> {
  const devices = new Set([...local.flatMap(({ dev }) => dev ?? []), link]);
  const answers = await Promise.all(
    [...devices].map(async dev => ({ dev, forwards: await room.forwards(dev) })),
  );
  return answers.flatMap(({ dev, forwards }) =>
    forwards === false ? [`${dev} does not forward, so nothing crosses: ${forwardingCommand(dev)}`] : [],
  );
}

function describe(
  { local, remote, farGateway, notes }: Workstations,
  { name, terminal }: { name: string; terminal: Terminal },
): string {
  const heading = (text: string) => terminal.paint('bold', text);
  return [
    ...local.flatMap(hosts => [
      heading(`Hosts on ${formatPrefix(hosts.network)}, this machine's LAN on ${hosts.dev}`),
      ...describeHosts(hosts, terminal),
      '',
    ]),
    ...remote.flatMap(hosts => [
      heading(`Hosts on ${formatPrefix(hosts.network)}, behind ${name}`),
      ...describeHosts(hosts, terminal),
      '',
    ]),
    ...(farGateway.length === 0
      ? []
      : [heading('The far gateway'), ...describeRoutes(farGateway, terminal), '']),
    ...notes.map(note => `Note: ${note}`),
  ]
    .join('\n')
    .trimEnd();
}

function jsonOf({ local, remote, farGateway, notes }: Workstations, link: string) {
  return {
    link,
    local: local.map(jsonOfHosts),
    remote: remote.map(jsonOfHosts),
    farGateway: jsonOfRoutes(farGateway),
    notes,
  };
}
