import { type Candidate, findLocal, type LocalMatch, lookUp, whyNot } from './lookup.ts';
import type { Observed, Rule } from './observed.ts';
import { ownTable } from './own-route.ts';
import type { Family, Prefix } from './prefix.ts';
import type { Route } from './route.ts';
import { type ReadRule, readRule } from './rule.ts';

/**
 * Where packets to an address go. `delivered`: to this machine or to everybody on a network, no route is asked.
 * `refused`: a route or rule says no. `lost`: no route leads there.
 */
export type Verdict = 'routed' | 'delivered' | 'refused' | 'lost';

/** A route that covers the address, and why it does not carry it; the one that does has no `because`. */
export interface Contender {
  route: Route;
  because?: string;
}

/** One rule that was looked at, in the order of their priorities. */
export interface Step {
  rule: Rule;
  outcome:
    | 'chosen'
    | 'no match'
    | 'suppressed'
    | 'thrown'
    | 'not for it'
    | 'not read'
    | 'not asked'
    | 'jumped';
  /** The outcome as the end of a sentence. */
  says: string;
  contenders: Contender[];
}

export interface Explanation {
  verdict: Verdict;
  /** The route that carries or refuses it. */
  route?: Route;
  local?: LocalMatch;
  steps: Step[];
  /** Why it may go another way after all: tables that are not read, rules for particular packets. */
  doubts: string[];
}

/**
 * Which route carries packets that this machine sends to an address, and why: the rules in the order of their priorities,
 * in each table the longest prefix, then the metric, then the order (ip-rule(8), ip-route(8)).
 */
export function explain(destination: Prefix, observed: Observed): Explanation {
  const explanation: Explanation = { verdict: 'lost', steps: [], doubts: [] };
  const rules = rulesOf(observed, destination.family);
  for (let at = 0; at < rules.length; at++) {
    const read = rules[at];
    if (read === undefined) break;
    const { rule, action, conditions } = read;
    if (!read.appliesTo(destination)) {
      if (conditions.length > 0 && read.mayApplyTo(destination)) explanation.doubts.push(doubtAbout(read));
      else
        explanation.steps.push({
          rule,
          outcome: 'not for it',
          says: 'is for other destinations',
          contenders: [],
        });
      continue;
    }
    switch (action.kind) {
      case 'pass':
        continue;
      case 'refuse':
        explanation.steps.push({
          rule,
          outcome: 'chosen',
          says: `refuses it: ${action.how}`,
          contenders: [],
        });
        return { ...explanation, verdict: 'refused' };
      case 'goto': {
        explanation.steps.push({
          rule,
          outcome: 'jumped',
          says: `goes on at ${action.priority}`,
          contenders: [],
        });
        const target = rules.findIndex((later, i) => i > at && later.rule.priority >= action.priority);
        at = (target < 0 ? rules.length : target) - 1;
        continue;
      }
      case 'lookup': {
        const found = lookIn(action, { rule, destination, observed });
        if (found.doubt !== undefined) explanation.doubts.push(found.doubt);
        if (found.step !== undefined) explanation.steps.push(found.step);
        if (found.local !== undefined) return { ...explanation, verdict: 'delivered', local: found.local };
        if (found.route !== undefined) {
          explanation.steps.push(
            ...runnersUp(rules.slice(at + 1), { destination, observed, steps: explanation.steps }),
          );
          return {
            ...explanation,
            verdict: found.route.type === 'unicast' ? 'routed' : 'refused',
            route: found.route,
          };
        }
      }
    }
  }
  return explanation;
}

/** A kernel without policy routing asks these three. */
const builtIn = [
  { priority: 0, selector: 'from all lookup local' },
  { priority: 32766, selector: 'from all lookup main' },
];

function rulesOf(observed: Observed, family: Family): ReadRule[] {
  const own = observed.rules.filter(rule => rule.family === family);
  const rules = own.length > 0 ? own : builtIn.map(rule => ({ ...rule, family, protocol: 'kernel' }));
  return rules.toSorted((a, b) => a.priority - b.priority).map(readRule);
}

function doubtAbout({ rule, conditions }: ReadRule): string {
  return `rule ${rule.priority} (${rule.selector}) may send some packets another way: those with ${conditions.join(', ')}`;
}

interface Search {
  rule: Rule;
  destination: Prefix;
  observed: Observed;
}

interface Found {
  step?: Step;
  route?: Route;
  local?: LocalMatch;
  doubt?: string;
}

function lookIn(
  action: { table: string; suppress?: number },
  { rule, destination, observed }: Search,
): Found {
  const { table, suppress } = action;
  if (table === 'local' || table === '255') {
    const local = findLocal(observed, destination);
    return local === undefined
      ? { step: { rule, outcome: 'no match', says: 'is not an address of this machine', contenders: [] } }
      : { step: { rule, outcome: 'chosen', says: localWords[local.kind](local.dev), contenders: [] }, local };
  }
  // Empty unless somebody fills it by hand; asked only when nothing else leads anywhere.
  if (table === 'default' || table === '253') return {};
  if (!isRead(table)) {
    const doubt = `rule ${rule.priority} asks table ${table} first, which ppp-routed does not read: \`ip route get\` tells`;
    return {
      step: {
        rule,
        outcome: 'not read',
        says: `asks table ${table}, which is not read here`,
        contenders: [],
      },
      doubt,
    };
  }
  const candidates = lookUp(routesIn(table, observed), destination);
  const [best] = candidates;
  if (best === undefined) {
    return { step: { rule, outcome: 'no match', says: `finds nothing in table ${table}`, contenders: [] } };
  }
  if (best.route.type === 'throw') {
    const contenders = contend(candidates, 'a throw route ends the search of this table');
    return {
      step: { rule, outcome: 'thrown', says: `is sent on by a throw route of table ${table}`, contenders },
    };
  }
  // The kernel gives up a result of that length or less; a refusal is no result to it (fib_rules_lookup()).
  if (suppress !== undefined && best.length <= suppress && best.route.type === 'unicast') {
    const says = `finds nothing in table ${table} that is longer than /${suppress}`;
    const contenders = contend(
      candidates,
      `passed over: this rule takes no prefix of /${suppress} or shorter`,
    );
    return { step: { rule, outcome: 'suppressed', says, contenders } };
  }
  const step: Step = {
    rule,
    outcome: 'chosen',
    says: `finds it in table ${table}`,
    contenders: contend(candidates),
  };
  return { step, route: best.route };
}

const localWords: Record<LocalMatch['kind'], (dev: string) => string> = {
  own: dev => `is an address of this machine, on ${dev}`,
  broadcast: dev => `is the broadcast address of the network on ${dev}`,
  multicast: () => 'is a multicast address: the program that sends chooses the interface',
};

/** Routes in tables behind the rule that decided: they are not asked any more. */
function runnersUp(
  rest: readonly ReadRule[],
  { destination, observed, steps }: Omit<Search, 'rule'> & { steps: readonly Step[] },
): Step[] {
  const seen = new Set(steps.flatMap(({ contenders }) => contenders.map(({ route }) => route)));
  return rest.flatMap(read => {
    const { rule, action } = read;
    if (action.kind !== 'lookup' || !isRead(action.table) || !read.appliesTo(destination)) return [];
    const unseen = lookUp(routesIn(action.table, observed), destination).filter(
      ({ route }) => !seen.has(route),
    );
    for (const { route } of unseen) seen.add(route);
    const contenders = unseen.map(({ route }) => ({
      route,
      because: `not asked: rule ${decisive(steps)} has decided`,
    }));
    return unseen.length === 0
      ? []
      : [{ rule, outcome: 'not asked', says: 'is not asked any more', contenders }];
  });
}

function decisive(steps: readonly Step[]): number | undefined {
  return steps.at(-1)?.rule.priority;
}

/** The candidates with the reasons why they lose; `all`: the reason why the best of them loses too. */
function contend(candidates: readonly Candidate[], all?: string): Contender[] {
  const [winner] = candidates;
  return candidates.map(candidate => {
    if (candidate !== winner && winner !== undefined)
      return { route: candidate.route, because: whyNot({ loser: candidate, winner }) };
    return all === undefined ? { route: candidate.route } : { route: candidate.route, because: all };
  });
}

/** Tables that an observation has whole. */
function isRead(table: string): boolean {
  return table === 'main' || table === '254' || table === ownTable;
}

function routesIn(table: string, observed: Observed): Route[] {
  const name = table === '254' ? 'main' : table;
  return observed.routes.filter(route => route.table === name);
}
