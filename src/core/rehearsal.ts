import { type Decision, decide } from './decide.ts';
import type { LinkEvent } from './event.ts';
import { applyEvent, type Link } from './link.ts';
import type { Observed } from './observed.ts';
import { type Step, shellCommandOf } from './plan.ts';
import { type Family, parseDestination } from './prefix.ts';
import type { Profile } from './profile.ts';
import { identityOf, ownProtocol, type Route } from './route.ts';
import type { State } from './state.ts';
import { linkLine } from './status.ts';

/** What would be done at an event, and the table that would result. Nothing is done. */
export interface Rehearsal {
  /** The commands, in their order, as a person types them. */
  commands: string[];
  /** The main table of both families and our own, as `ip route show` prints it. */
  table: string[];
  /** What would hold then, a sentence each. */
  says: string[];
}

export interface Rehearsed {
  state: State;
  observed: Observed;
  event: LinkEvent;
  profile: Profile | undefined;
  servers: string[];
}

const mostRounds = 6;

/** Plays an event through on a copy of what is known and observed. An interface that is not there yet is taken to be up. */
export function rehearse({ state, observed, event, profile, servers }: Rehearsed): Rehearsal {
  const isUp = event.name.endsWith('-up');
  let kernel = isUp ? withInterface(observed, event.interface) : observed;
  const applied = applyEvent(state.links, event, kernel.interfaces);
  const links = applied.links.map(
    (link): Link =>
      isUp && link.interface === event.interface && link.lost !== true ? { ...link, profile, servers } : link,
  );
  const commands: string[] = [];
  let current: State = { ...state, links };
  let decision: Decision = decide({ state: current, observed: kernel, refused: new Set() });
  for (let round = 1; decision.steps.length > 0 && round <= mostRounds; round++) {
    const steps = [...decision.steps].sort((a, b) => a.stage - b.stage);
    commands.push(...steps.map(shellCommandOf));
    kernel = steps.reduce(afterStep, kernel);
    current = decision.state;
    decision = decide({ state: current, observed: kernel, refused: new Set() });
  }
  const unchanged = applied.outcome === 'stale' ? [`nothing to do: ${applied.because}`] : [];
  return {
    commands,
    table: kernel.routes.map(route => route.line),
    says: [
      ...unchanged,
      ...decision.state.links.map(link => linkLine(link, decision)),
      ...decision.troubles,
      ...decision.warnings,
    ],
  };
}

function withInterface(observed: Observed, name: string): Observed {
  if (observed.interfaces.some(face => face.name === name)) return observed;
  const ifindex = 1 + Math.max(0, ...observed.interfaces.map(face => face.ifindex));
  return { ...observed, interfaces: [...observed.interfaces, { name, ifindex, up: true }] };
}

/** What the kernel would have after a step: fib_table_insert() and fib_table_delete(), as far as our own steps need them. */
function afterStep(observed: Observed, step: Step): Observed {
  switch (step.kind) {
    case 'add-route': {
      const first = step.purpose !== 'restore' && step.route.family === 'inet';
      const before = (other: Route) =>
        first ? orderOf(other) >= orderOf(step.route) : orderOf(other) > orderOf(step.route);
      const at = observed.routes.findIndex(before);
      return {
        ...observed,
        routes: observed.routes.toSpliced(at < 0 ? observed.routes.length : at, 0, step.route),
      };
    }
    case 'delete-route':
      return {
        ...observed,
        routes: observed.routes.filter(route => identityOf(route) !== identityOf(step.route)),
      };
    case 'add-rule':
      return { ...observed, rules: [...observed.rules, { ...step.rule, protocol: ownProtocol.number }] };
    case 'delete-rule':
      return {
        ...observed,
        rules: observed.rules.filter(
          ({ priority, selector, family }) =>
            priority !== step.rule.priority || selector !== step.rule.selector || family !== step.rule.family,
        ),
      };
    case 'add-proxy':
      return {
        ...observed,
        proxyNeighbours: [...observed.proxyNeighbours, { ...step.neighbour, protocol: ownProtocol.number }],
      };
    case 'delete-proxy':
      return {
        ...observed,
        proxyNeighbours: observed.proxyNeighbours.filter(
          ({ address, dev }) => address !== step.neighbour.address || dev !== step.neighbour.dev,
        ),
      };
  }
}

const familyOrder: Record<Family, string> = { inet: '4', inet6: '6' };

/** Sorts like the kernel's table: by family, table, destination, then metric. */
function orderOf(route: Route): string {
  const prefix = parseDestination(route.dst, route.family);
  const bytes =
    prefix?.address
      .toByteArray()
      .map(byte => byte.toString(16).padStart(2, '0'))
      .join('') ?? '';
  const length = String(prefix?.length ?? 0).padStart(3, '0');
  return `${familyOrder[route.family]} ${route.table} ${bytes} ${length} ${String(route.metric).padStart(10, '0')}`;
}
