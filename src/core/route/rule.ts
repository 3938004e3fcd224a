import type { Rule } from './observed.ts';
import { covers, type Prefix, parseDestination } from './prefix.ts';

/** What a rule does with the packets it is for: FRA_ACTION in fib_rules.h, in the words of ip-rule(8). */
export type RuleAction =
  | { kind: 'lookup'; table: string; suppress?: number }
  | { kind: 'goto'; priority: number }
  | { kind: 'refuse'; how: string }
  | { kind: 'pass' };

/** A rule as it bears on a plain packet: sent by this machine, without a mark, its source not chosen yet. */
export interface ReadRule {
  rule: Rule;
  action: RuleAction;
  /** Is a plain packet to that destination one that the rule is for? */
  appliesTo(destination: Prefix): boolean;
  /** Is it, for some packet to that destination? */
  mayApplyTo(destination: Prefix): boolean;
  /** Conditions that other packets than a plain one may meet, e.g. `fwmark 0xca6c`. */
  conditions: string[];
}

const refusals = new Set(['unreachable', 'prohibit', 'blackhole']);

/** Reads what `ip rule show` prints, priority and protocol taken off. */
export function readRule(rule: Rule): ReadRule {
  const words = rule.selector
    .replaceAll(/\[(detached|unresolved)\]/g, '')
    .split(/\s+/)
    .filter(Boolean);
  let inverted = false;
  let to: Prefix | undefined;
  let action: RuleAction = { kind: 'pass' };
  const conditions: string[] = [];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === 'not') inverted = true;
    else if (word === 'nop') action = { kind: 'pass' };
    else if (refusals.has(word)) action = { kind: 'refuse', how: word };
    else {
      const value = words.shift() ?? '';
      if (word === 'to') to = parseDestination(value, rule.family);
      else if (word === 'lookup') action = { kind: 'lookup', table: value };
      else if (word === 'goto') action = { kind: 'goto', priority: Number(value) };
      else if (word === 'suppress_prefixlength') {
        if (action.kind === 'lookup') action.suppress = Number(value);
      } else if (!isMet(word, value)) conditions.push(`${word} ${value}`);
    }
  }
  // Only packets from inside a VRF ask its table.
  if (action.kind === 'lookup' && action.table.startsWith('[l3mdev')) conditions.push('from inside a VRF');
  const reaches = (destination: Prefix) => to === undefined || covers({ outer: to, inner: destination });
  return {
    rule,
    action,
    conditions,
    appliesTo: destination => (conditions.length === 0 && reaches(destination)) !== inverted,
    mayApplyTo: destination => inverted || reaches(destination),
  };
}

/** Does every plain packet meet this condition? What a machine sends itself comes in, for rules, by `lo`. */
function isMet(word: string, value: string): boolean {
  switch (word) {
    case 'from':
      return value === 'all' || /^(0\.0\.0\.0|::)\/0$/.test(value);
    case 'iif':
      return value === 'lo';
    case 'fwmark':
    case 'tos':
    case 'dsfield':
      return /^0(x0+)?(\/.*)?$/.test(value);
    // They change what is done with the result, not whether the rule is asked.
    case 'realms':
    case 'suppress_ifgroup':
      return true;
    default:
      return false;
  }
}
