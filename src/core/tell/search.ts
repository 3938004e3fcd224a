import type { Observed, Rule } from '../route/observed.ts';
import { ownTable } from '../route/own-route.ts';
import type { Prefix } from '../route/prefix.ts';
import type { Route } from '../route/route.ts';
import type { ReadRule, RuleAction } from '../route/rule.ts';
import { type Candidate, findLocal, type LocalMatch, lookUp, whyNot } from './lookup.ts';

/** A route that covers the address, and why it does not carry it; the one that does has no `because`. */
export interface Contender {
  route: Route;
  because?: string;
}

/** One rule that was looked at. */
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

export interface Search {
  destination: Prefix;
  observed: Observed;
}

/** What came of one rule. The search ends with a route or a local match. */
export interface Found {
  step: Step;
  route?: Route;
  local?: LocalMatch;
  doubt?: string;
}

/** Searches the table that a rule names: fib4_rule_action() and fib4_rule_suppress() in ipv4/fib_rules.c, and of IPv6. */
export function searchTable(
  rule: Rule,
  { table, suppress }: Extract<RuleAction, { kind: 'lookup' }>,
  { destination, observed }: Search,
): Found {
  const ending = (outcome: Step['outcome'], says: string, contenders: Contender[] = []) => ({
    step: { rule, outcome, says, contenders },
  });
  if (table === 'local' || table === '255') {
    const local = findLocal(observed, destination);
    if (local === undefined) return ending('no match', 'is not an address of this machine');
    return { ...ending('chosen', localWords[local.kind](local.dev)), local };
  }
  if (!isRead(table)) {
    const doubt = `rule ${rule.priority} asks table ${table} first, which ppp-routed does not read: \`ip route get\` tells`;
    return { ...ending('not read', `asks table ${table}, which is not read here`), doubt };
  }
  const candidates = lookUp(routesIn(table, observed), destination);
  const [best] = candidates;
  if (best === undefined) return ending('no match', `finds nothing in table ${table}`);
  if (best.route.type === 'throw') {
    const contenders = contend(candidates, 'a throw route ends the search of this table');
    return ending('thrown', `is sent on by a throw route of table ${table}`, contenders);
  }
  // A refusal is no result that could be suppressed.
  if (suppress !== undefined && best.length <= suppress && best.route.type === 'unicast') {
    const contenders = contend(
      candidates,
      `passed over: this rule takes nothing as short as /${best.length}`,
    );
    return ending(
      'suppressed',
      `finds nothing in table ${table} that is longer than /${suppress}`,
      contenders,
    );
  }
  return { ...ending('chosen', `finds it in table ${table}`, contend(candidates)), route: best.route };
}

/** Routes that cover the address too, in tables behind the rule that has decided. */
export function searchTheRest(
  rules: readonly ReadRule[],
  { destination, observed, steps }: Search & { steps: readonly Step[] },
): Step[] {
  const because = `not asked: rule ${steps.at(-1)?.rule.priority} has decided`;
  const seen = new Set(steps.flatMap(({ contenders }) => contenders.map(({ route }) => route)));
  return rules.flatMap(read => {
    const { rule, action } = read;
    if (action.kind !== 'lookup' || !isRead(action.table) || !read.appliesTo(destination)) return [];
    const contenders = lookUp(routesIn(action.table, observed), destination)
      .filter(({ route }) => !seen.has(route))
      .map(({ route }) => ({ route, because }));
    for (const { route } of contenders) seen.add(route);
    if (contenders.length === 0) return [];
    return [{ rule, outcome: 'not asked', says: 'is not asked any more', contenders }];
  });
}

const localWords: Record<LocalMatch['kind'], (dev: string) => string> = {
  own: dev => `is an address of this machine, on ${dev}`,
  broadcast: dev => `is the broadcast address of the network on ${dev}`,
  multicast: () => 'is a multicast address',
};

/** The candidates with the reasons why they lose; `all`: the reason why the best of them loses too. */
function contend(candidates: readonly Candidate[], all?: string): Contender[] {
  const [winner] = candidates;
  return candidates.map(candidate => {
    const { route } = candidate;
    if (winner !== undefined && candidate !== winner)
      return { route, because: whyNot({ loser: candidate, winner }) };
    return all === undefined ? { route } : { route, because: all };
  });
}

/** Tables that an observation has whole. */
function isRead(table: string): boolean {
  return ['main', '254', ownTable].includes(table);
}

function routesIn(table: string, { routes }: Observed): Route[] {
  const name = table === '254' ? 'main' : table;
  return routes.filter(route => route.table === name);
}
