import { type SavedDefault, type State, savedRoute } from '../link/state.ts';
import type { Observed } from '../route/observed.ts';
import { families } from '../route/prefix.ts';
import type { Route } from '../route/route.ts';
import { type Demand, type Devices, demandOf } from './demand.ts';
import { orphans, strandedPins } from './orphan.ts';
import { pinsOf } from './pin.ts';
import { familyOfStep, planSteps, type Step, type Wanted } from './plan.ts';
import { proxyNeighboursOf } from './proxy-neighbour.ts';
import {
  foldSaved,
  isAdvertised,
  restorationOf,
  uplinkDefaults,
  uplinkRoutes,
  whyNotToDisplace,
} from './uplink.ts';
import { warningsOf } from './warnings.ts';

/** All that a decision depends on. */
export interface Situation {
  state: State;
  observed: Observed;
  /** Lines that the kernel would not take just now, and the ways out (`wayOutOf`) over which it would take no pin. */
  refused: ReadonlySet<string>;
  /** True from a start until none is `orphaned`: where the state was lost, nobody knows which of our routes are leftovers. */
  isForgetful?: boolean;
  /** A part of the state cannot be read. A lost link that must stay dark may be in it: nothing of ours is removed or restored. */
  isPartial?: boolean;
}

/** What is to be saved, what is to be done, and what a person should know. */
export interface Decision {
  state: State;
  steps: Step[];
  demand: Demand;
  /** True where a route of somebody else's is about to go: the state must be safe on disk before. */
  displacing: boolean;
  /** What is not as the configuration asks, in sentences. */
  troubles: string[];
  /** What is as it is configured, and yet may surprise: said once. */
  warnings: string[];
  /** Saved defaults that are given up, because what is there now is newer. */
  dropped: SavedDefault[];
  /** What stays because nothing else leads out: our defaults of no link that is known, and pins of servers. */
  orphaned: Route[];
}

/** The one decision: from what is known and what the kernel has, to what is saved and what is changed. */
export function decide({
  state,
  observed,
  refused,
  isForgetful = false,
  isPartial = false,
}: Situation): Decision {
  const demand = demandOf(state.links, observed);
  const wanted: Wanted = {
    routes: [...demand.routes],
    rules: [...demand.rules],
    proxyNeighbours: [],
    restore: [],
    displace: [],
  };
  const troubles: string[] = [];
  const dropped: SavedDefault[] = [];
  const savedDefaults: SavedDefault[] = [];
  /** Uplink defaults that stay where they are, beside ours. */
  const beside: Route[] = [];
  const isIdle = (entry: SavedDefault) => leadsInto(entry, demand.managedDevices);

  for (const family of families) {
    const saved = state.savedDefaults.filter(entry => entry.family === family);
    const present = uplinkDefaults(observed, demand.managedDevices, family);
    const displaceable = present.filter(route => !isAdvertised(route));
    const stubborn = displaceable
      .map(route => ({ route, because: whyNotToDisplace(route, { displaceable, observed }) }))
      .find(({ because }) => because !== undefined);
    if (demand.displaces.has(family) && stubborn === undefined) {
      const folded = foldSaved(saved, displaceable, { observed, refused });
      savedDefaults.push(...folded);
      dropped.push(...lost(saved, folded));
      wanted.displace.push(...displaceable);
      beside.push(...present.filter(route => !displaceable.includes(route)));
      continue;
    }
    if (demand.displaces.has(family) && stubborn !== undefined) {
      troubles.push(
        `keeping ${stubborn.route.line}: ${stubborn.because}, so our default stands beside it at a better metric`,
      );
    }
    beside.push(...present);
    const folded = foldSaved(saved, present, { observed });
    const restoration = restorationOf(
      folded.filter(entry => !isIdle(entry)),
      { present, observed, refused },
    );
    wanted.restore.push(...restoration.restore);
    savedDefaults.push(
      ...restoration.restore.map(({ line }) => ({ family, route: line })),
      ...restoration.waiting,
      ...folded.filter(isIdle),
    );
    dropped.push(...lost(saved, [...folded]), ...restoration.dropped);
    for (const entry of restoration.waiting)
      troubles.push(
        `the saved ${entry.route} cannot be restored yet: its device is down or its gateway out of reach`,
      );
  }

  for (const { route } of savedDefaults.filter(entry => isIdle(entry) && entry.lapsed !== true))
    troubles.push(
      `the saved ${route} leads through a link that a profile matches: it is kept, and no uplink while that is so`,
    );
  const pins = pinsOf(demand, uplinkRoutes({ observed, demand, refused }, savedDefaults), observed);
  wanted.routes.push(...pins.routes);
  wanted.rules.push(...pins.rules);
  for (const destination of pins.unreachable)
    troubles.push(`no uplink leads to ${destination}: it is pinned when one appears`);
  for (const { link } of demand.active) {
    const { unresolved = [], servers, asking } = link;
    if (unresolved.length === 0 || asking === true) continue;
    // One address is enough for the link to carry the default: the tunnel stands already, and it may well be to that one.
    const then = servers.length > 0 ? 'it is not pinned' : 'the default stays where it is';
    troubles.push(
      `${link.interface}: no address for the server ${unresolved.join(', ')}; ${then} until the name resolves`,
    );
  }
  const proxies = proxyNeighboursOf(demand, observed);
  wanted.proxyNeighbours.push(...proxies.neighbours);
  troubles.push(...proxies.troubles);
  const orphaned = isForgetful ? orphans({ links: state.links, observed, wanted }) : [];
  for (const { line } of orphaned)
    troubles.push(
      `${line} is ours, and no link is known that it is for: it stays, because nothing else leads out`,
    );
  const stranded = isForgetful ? strandedPins(observed, pins.unreachable) : [];
  const keeps = new Set([...orphaned, ...stranded].map(({ family }) => family));
  const steps = planSteps(observed, wanted).filter(
    step =>
      !(isRemoval(step) && (isPartial || keeps.has(familyOfStep(step)))) &&
      !(isPartial && step.kind === 'add-route' && step.purpose === 'restore'),
  );
  return {
    state: { ...state, savedDefaults },
    steps,
    demand,
    displacing: steps.some(step => step.kind === 'delete-route' && step.because === 'displaced'),
    troubles,
    warnings: warningsOf(demand, { observed, beside }),
    dropped,
    orphaned: [...orphaned, ...stranded],
  };
}

/** Something of ours goes. */
function isRemoval(step: Step): boolean {
  return step.kind.startsWith('delete-') && !(step.kind === 'delete-route' && step.because === 'displaced');
}

/**
 * A default through a managed link is no uplink, whoever added it and whenever. One that was saved before the link was
 * managed is neither used nor given back, but it stays saved: a profile may match a link by mistake, and for a moment.
 */
function leadsInto(entry: SavedDefault, devices: Devices): boolean {
  return savedRoute(entry)?.nexthops.some(({ dev }) => dev !== undefined && devices.has(dev)) ?? false;
}

/** The saved ones that something newer took the place of. */
function lost(before: readonly SavedDefault[], after: readonly SavedDefault[]): SavedDefault[] {
  const kept = new Set(after.map(({ route }) => route));
  return before.filter(({ route }) => !kept.has(route));
}
