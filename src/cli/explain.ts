import { formatPrefix, type Prefix, parsePrefix } from '../core/route/prefix.ts';
import type { Route } from '../core/route/route.ts';
import { type Explanation, explain as explainRoute } from '../core/tell/explain.ts';
import { type Meaning, nameOf, readMeanings } from '../core/tell/meaning.ts';
import type { Sight } from '../core/tell/snapshot.ts';
import { CommandError, exitStatus } from './command-error.ts';
import { askSight, printJson, type Room } from './room.ts';
import type { Terminal } from './terminal.ts';

/** Resolves a name as the programs of this machine do. */
export type Resolve = (name: string) => Promise<string[]>;

/** Which route carries an address and why; of a name, for each of its addresses. */
export async function explain(
  room: Room & { resolve: Resolve },
  { destination, json }: { destination: string; json?: boolean },
): Promise<number> {
  const addresses = await addressesOf(room, destination);
  const sight = await askSight(room);
  const meaningOf = readMeanings(sight);
  const answers = addresses.map(prefix => ({
    address: formatPrefix(prefix),
    ...explainRoute(prefix, sight.observed),
  }));
  if (json) {
    printJson(room, { asked: destination, answers: answers.map(answer => jsonOf(answer, meaningOf)) });
  } else {
    const about = { sight, meaningOf, terminal: room.terminal };
    room.terminal.print(answers.map(answer => describe(answer, about)).join('\n\n'));
  }
  const isCarried = answers.every(({ verdict }) => verdict === 'routed' || verdict === 'delivered');
  return isCarried ? exitStatus.fine : exitStatus.trouble;
}

async function addressesOf({ resolve }: { resolve: Resolve }, destination: string): Promise<Prefix[]> {
  const literal = destination.includes('/') ? undefined : parsePrefix(destination);
  if (literal !== undefined) {
    if (!literal.address.toByteArray().every(byte => byte === 0)) return [literal];
    throw new CommandError(
      'usage',
      `nothing is sent to ${destination}`,
      'Give an address such as 203.0.113.5',
    );
  }
  const isName = /^(?=.*[a-z])[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?\.?$/i.test(destination);
  if (!isName) {
    const message = `${JSON.stringify(destination)} is neither an address nor a host name`;
    throw new CommandError(
      'usage',
      message,
      'Give one address, without a length or a zone: ppp-routectl explain 203.0.113.5',
    );
  }
  const found = await resolve(destination);
  const addresses = [...new Set(found)].flatMap(address => parsePrefix(address) ?? []);
  if (addresses.length > 0) return addresses;
  throw new CommandError(
    'trouble',
    `${destination} has no address that can be found`,
    'Give the address itself, or see why the name does not resolve: getent ahosts NAME',
  );
}

type Answer = Explanation & { address: string };
interface About {
  sight: Sight;
  meaningOf(route: Route): Meaning;
  terminal: Terminal;
}

function describe(answer: Answer, about: About): string {
  const { terminal, meaningOf } = about;
  const lines = [terminal.paint('bold', headlineOf(answer, about))];
  if (answer.route !== undefined) lines.push(`  ${answer.route.line}`, `  ${meaningOf(answer.route).words}`);
  lines.push('', 'Why:');
  for (const { rule, says, contenders } of answer.steps) {
    lines.push(`  rule ${rule.priority}, ${rule.selector}: ${says}`);
    for (const { route, because } of contenders) {
      const fate = because === undefined ? terminal.paint('green', 'taken') : terminal.paint('dim', because);
      lines.push(`    ${route.line}`, `      ${fate}`);
    }
  }
  for (const doubt of answer.doubts) lines.push(terminal.paint('yellow', `Not certain: ${doubt}`));
  return lines.join('\n');
}

function headlineOf(
  { address, verdict, route, local }: Answer,
  { sight, meaningOf }: Omit<About, 'terminal'>,
): string {
  switch (verdict) {
    case 'delivered':
      return local?.kind === 'own'
        ? `${address} is this machine itself, on ${local.dev}`
        : `${address} is a ${local?.kind} address on ${local?.dev}`;
    case 'lost':
      return `No route leads to ${address}: sending fails with "Network is unreachable"`;
    case 'refused':
      return route === undefined
        ? `A rule refuses packets to ${address}`
        : `${address} is refused: ${meaningOf(route).words}`;
    case 'routed':
      return `${address} ${route === undefined ? '' : wayOf(route, { sight, meaningOf })}`;
  }
}

function wayOf(route: Route, { sight, meaningOf }: Omit<About, 'terminal'>): string {
  const [hop] = route.nexthops;
  const several = route.nexthops.length > 1 ? ', one of several ways that share the load' : '';
  const link = sight.links.find(candidate => candidate.interface === hop?.dev);
  if (link !== undefined) return `goes through the link ${nameOf(link)}${several}`;
  if (hop?.via === undefined) return `is reached directly on ${hop?.dev}${several}`;
  const uplink = ['uplink-default', 'pin', 'exclude'].includes(meaningOf(route).role)
    ? 'by the uplink, '
    : '';
  return `goes ${uplink}by the gateway ${hop.via.replace('inet6 ', '')} on ${hop.dev}${several}`;
}

function jsonOf({ route, steps, ...answer }: Answer, meaningOf: About['meaningOf']) {
  const briefOf = (of: Route) => ({ route: of.line, role: meaningOf(of).role, means: meaningOf(of).words });
  return {
    ...answer,
    ...(route === undefined ? {} : { ...briefOf(route), table: route.table, nexthops: route.nexthops }),
    link: route && meaningOf(route).link,
    steps: steps.map(({ rule, outcome, says, contenders }) => ({
      priority: rule.priority,
      selector: rule.selector,
      outcome,
      says,
      contenders: contenders.map(({ route: of, because }) => ({ ...briefOf(of), because })),
    })),
  };
}
