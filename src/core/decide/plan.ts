import type { Observed, ProxyNeighbour, Rule } from '../route/observed.ts';
import type { OwnRoute, OwnRule, Purpose } from '../route/own-route.ts';
import type { Family } from '../route/prefix.ts';
import { identityOf, isOwn, ownProtocol, type Route } from '../route/route.ts';

/** What the kernel should have. */
export interface Wanted {
  routes: OwnRoute[];
  rules: OwnRule[];
  proxyNeighbours: { family: Family; address: string; dev: string }[];
  /** Saved defaults that go back. */
  restore: Route[];
  /** Uplink defaults that go away once ours is there. They are in the state file. */
  displace: Route[];
}

/**
 * One change of the kernel. Steps of one stage go to the kernel together, the next stage after their answers; a step
 * is left out if one that it needs failed.
 */
export type Step = { stage: number; needs: Step[] } & (
  | { kind: 'add-route'; route: Route; purpose: Purpose | 'restore'; over?: string }
  | { kind: 'delete-route'; route: Route; because: 'displaced' | 'obsolete' }
  | { kind: 'add-rule'; rule: OwnRule }
  | { kind: 'delete-rule'; rule: OwnRule }
  | { kind: 'add-proxy'; neighbour: Wanted['proxyNeighbours'][number] }
  | { kind: 'delete-proxy'; neighbour: Wanted['proxyNeighbours'][number] }
);

/** The order that leaves no moment without a default and no tunnel looped through itself. */
const stage = { alongside: 0, default: 1, rule: 2, delete: 3 } as const;

/** The steps from what is observed to what is wanted. Empty when they are equal: that is what "done" means. */
export function planSteps(observed: Observed, wanted: Wanted): Step[] {
  const here = new Set(observed.routes.map(identityOf));
  const missing = (route: Route) => !here.has(identityOf(route));

  const restores = wanted.restore.filter(missing).map(route => addRoute(route, 'restore', []));
  // What several links want is added once.
  const asked = new Set<string>();
  const absent = wanted.routes.filter(({ route }) => {
    const identity = identityOf(route);
    if (here.has(identity) || asked.has(identity)) return false;
    asked.add(identity);
    return true;
  });
  const others = absent
    .filter(({ purpose }) => purpose !== 'default')
    .map(({ route, purpose, over }) => ({ ...addRoute(route, purpose, []), ...(over && { over }) }));
  const pins = others.filter(isPin);
  const defaults = absent
    .filter(({ purpose }) => purpose === 'default')
    .map(({ route, purpose }) => addRoute(route, purpose, ofFamily(route.family, pins)));

  const ownRules = observed.rules.filter(isOwn);
  // The rule that is asked first is added first: the server's must be there before any that leads away from it.
  const rules = wanted.rules
    .filter(rule => !ownRules.some(candidate => sameRule(candidate, rule)))
    .sort((a, b) => a.priority - b.priority)
    .map((rule): Step => {
      return { kind: 'add-rule', rule, stage: stage.rule, needs: ofFamily(rule.family, defaults) };
    });

  const wantedHere = new Set(wanted.routes.map(({ route }) => identityOf(route)));
  const deletes: Step[] = [
    ...ownRules
      .filter(rule => !wanted.rules.some(candidate => sameRule(rule, candidate)))
      .sort((a, b) => b.priority - a.priority)
      .map((rule): Step => ({ kind: 'delete-rule', rule, stage: stage.delete, needs: [] })),
    ...wanted.displace
      .filter(route => !missing(route))
      // Where ours is there already, the pins may be missing yet.
      .map(route => deleteRoute(route, 'displaced', ofFamily(route.family, [...pins, ...defaults]))),
    ...observed.routes
      .filter(route => isOwn(route) && !wantedHere.has(identityOf(route)))
      // Whoever has read the whole table knows them in another order than who has heard of one after the other.
      .sort((a, b) => (identityOf(a) < identityOf(b) ? -1 : 1))
      .map(route => deleteRoute(route, 'obsolete', [])),
  ];
  return [...restores, ...others, ...proxySteps(observed, wanted), ...defaults, ...rules, ...deletes];
}

function addRoute(route: Route, purpose: Purpose | 'restore', needs: Step[]): Step {
  const turn = purpose === 'default' ? stage.default : stage.alongside;
  return { kind: 'add-route', route, purpose, stage: turn, needs };
}

function deleteRoute(route: Route, because: 'displaced' | 'obsolete', needs: Step[]): Step {
  return { kind: 'delete-route', route, because, stage: stage.delete, needs };
}

function isPin(step: Step): boolean {
  return step.kind === 'add-route' && step.purpose === 'pin';
}

function ofFamily(family: Family, steps: Step[]): Step[] {
  return steps.filter(step => step.kind === 'add-route' && step.route.family === family);
}

function sameRule(a: OwnRule | Rule, b: OwnRule | Rule): boolean {
  return a.family === b.family && a.priority === b.priority && a.selector === b.selector;
}

function proxySteps(observed: Observed, wanted: Wanted): Step[] {
  const same = (
    a: Wanted['proxyNeighbours'][number],
    b: ProxyNeighbour | Wanted['proxyNeighbours'][number],
  ) => a.family === b.family && a.address === b.address && a.dev === b.dev;
  const own = observed.proxyNeighbours.filter(isOwn);
  return [
    ...wanted.proxyNeighbours
      .filter(neighbour => !observed.proxyNeighbours.some(here => same(neighbour, here)))
      .map((neighbour): Step => ({ kind: 'add-proxy', neighbour, stage: stage.alongside, needs: [] })),
    ...own
      .filter(here => !wanted.proxyNeighbours.some(neighbour => same(neighbour, here)))
      .map((neighbour): Step => ({ kind: 'delete-proxy', neighbour, stage: stage.delete, needs: [] })),
  ];
}

/**
 * The arguments of `ip` for a step, without -4 or -6: see ip-route(8), ip-rule(8), ip-neighbour(8).
 * Ours are prepended: at one metric the first is asked, and another's route of the same key (the kernel's to the peer,
 * pppd's default) makes no conflict. Saved ones are appended, so that those of one metric come back in their order, and
 * beside one that a router advertised meanwhile at the same metric.
 */
export function commandOf(step: Step): string {
  switch (step.kind) {
    case 'add-route': {
      const verb = step.purpose === 'restore' ? 'append' : step.route.family === 'inet6' ? 'add' : 'prepend';
      return `route ${verb} ${step.route.line}`;
    }
    case 'delete-route':
      return `route del ${step.route.line}`;
    case 'add-rule':
      return `rule add ${step.rule.selector} priority ${step.rule.priority} protocol ${ownProtocol.number}`;
    case 'delete-rule':
      return `rule del ${step.rule.selector} priority ${step.rule.priority} protocol ${ownProtocol.number}`;
    case 'add-proxy':
      return `neigh add proxy ${step.neighbour.address} dev ${step.neighbour.dev} protocol ${ownProtocol.number}`;
    case 'delete-proxy':
      return `neigh del proxy ${step.neighbour.address} dev ${step.neighbour.dev}`;
  }
}

/** The family a step is for. */
export function familyOfStep(step: Step): Family {
  const { family } = 'route' in step ? step.route : 'rule' in step ? step.rule : step.neighbour;
  return family;
}

/** The same as a person types it. */
export function shellCommandOf(step: Step): string {
  return `ip ${familyOfStep(step) === 'inet6' ? '-6 ' : ''}${commandOf(step)}`;
}

/** What a step does, as the beginning of a line in the journal. The verbs: adding, deleting, restoring. */
export function sentenceOf(step: Step): string {
  switch (step.kind) {
    case 'add-route':
      return addingWords[step.purpose];
    case 'delete-route':
      return step.because === 'displaced'
        ? "deleting the uplink's default, which is saved"
        : 'deleting a route of ours that is no longer wanted';
    case 'add-rule':
      return 'adding a rule';
    case 'delete-rule':
      return 'deleting a rule of ours that is no longer wanted';
    case 'add-proxy':
      return 'adding a proxy neighbour';
    case 'delete-proxy':
      return 'deleting a proxy neighbour of ours that is no longer wanted';
  }
}

const addingWords: Record<Purpose | 'restore', string> = {
  default: 'adding the default over the link',
  network: 'adding a network behind the link',
  pin: 'adding a pin that stays on the uplink',
  block: 'adding a block',
  restore: "restoring the uplink's default",
};
