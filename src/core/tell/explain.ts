import type { Observed } from '../route/observed.ts';
import { covers, type Family, type Prefix, parsePrefix } from '../route/prefix.ts';
import type { Route } from '../route/route.ts';
import { type ReadRule, readRule } from '../route/rule.ts';
import type { LocalMatch } from './lookup.ts';
import { type Step, searchTable, searchTheRest } from './search.ts';

/** `delivered`: to this machine or to all on a network. `refused`: by a route or a rule. `lost`: no route. */
export type Verdict = 'routed' | 'delivered' | 'refused' | 'lost';

export interface Explanation {
  verdict: Verdict;
  /** The route that carries or refuses it. */
  route?: Route;
  local?: LocalMatch;
  /** The rules, in the order in which they are asked. */
  steps: Step[];
  /** Why it may go another way after all, in sentences. */
  doubts: string[];
}

/** Which route carries what this machine sends to an address, and why: the order of ip-rule(8), ip-route(8). */
export function explain(destination: Prefix, observed: Observed): Explanation {
  const search = { destination, observed };
  const steps: Step[] = [];
  const doubts = doubtsAbout(destination);
  const rules = rulesOf(observed, destination.family);
  for (let at = 0; at < rules.length; at++) {
    const read = rules[at];
    if (read === undefined) break;
    const { rule, action } = read;
    const note = (outcome: Step['outcome'], says: string) =>
      steps.push({ rule, outcome, says, contenders: [] });
    if (!read.appliesTo(destination)) {
      if (read.conditions.length > 0 && read.mayApplyTo(destination)) doubts.push(doubtOf(read));
      else note('not for it', 'is for other destinations');
    } else if (action.kind === 'refuse') {
      note('chosen', `refuses it: ${action.how}`);
      return { verdict: 'refused', steps, doubts };
    } else if (action.kind === 'goto') {
      note('jumped', `goes on at rule ${action.priority}`);
      const target = rules.findIndex((later, i) => i > at && later.rule.priority >= action.priority);
      at = (target < 0 ? rules.length : target) - 1;
    } else if (action.kind === 'lookup') {
      const { step, route, local, doubt } = searchTable(rule, action, search);
      steps.push(step);
      if (doubt !== undefined) doubts.push(doubt);
      if (local !== undefined) return { verdict: 'delivered', local, steps, doubts };
      if (route !== undefined) {
        steps.push(...searchTheRest(rules.slice(at + 1), { ...search, steps }));
        return { verdict: route.type === 'unicast' ? 'routed' : 'refused', route, steps, doubts };
      }
    }
  }
  return { verdict: 'lost', steps, doubts };
}

/** A kernel without policy routing asks these two tables. */
const builtIn = [
  { priority: 0, selector: 'from all lookup local' },
  { priority: 32766, selector: 'from all lookup main' },
];

function rulesOf(observed: Observed, family: Family): ReadRule[] {
  const present = observed.rules.filter(rule => rule.family === family);
  const rules = present.length > 0 ? present : builtIn.map(rule => ({ ...rule, family, protocol: 'kernel' }));
  return (
    rules
      // Table `default` is empty unless somebody fills it by hand, and asked only when nothing else leads anywhere.
      .filter(({ selector }) => selector !== 'from all lookup default')
      .sort((a, b) => a.priority - b.priority)
      .map(readRule)
  );
}

/** Addresses that mean something only on one network: RFC 4291 2.5.6 and 2.7, RFC 1112. */
const scoped = ['fe80::/10', 'ff00::/8', '224.0.0.0/4'].flatMap(text => parsePrefix(text) ?? []);

function doubtsAbout(destination: Prefix): string[] {
  return scoped.some(outer => covers({ outer, inner: destination }))
    ? ['for a link-local or multicast address the program that sends may choose another interface']
    : [];
}

function doubtOf({ rule, conditions }: ReadRule): string {
  return `rule ${rule.priority} (${rule.selector}) is for some packets only, those with ${conditions.join(', ')}`;
}
