/** A part of a pattern: any text, any one character, or one of a set. */
type Part = 'text' | ((character: string) => boolean);

/**
 * Does the pattern fit the whole value? `*` stands for any text, `?` for one character, `[a-z]` and `[!a-z]` for one of a
 * set or none of it, and a backslash takes the next character as it is. A slash is a character like any other.
 *
 * The value may be the far end's to choose: the time is bounded by the product of both lengths, where a regular expression
 * of several `*` would try every way to divide the value.
 */
export function matchesGlob(value: string, pattern: string): boolean {
  const characters = [...value];
  const parts = partsOf([...pattern]);
  let at = 0;
  let part = 0;
  /** Where to go on if what follows the last `*` does not fit: the `*` takes one character more. */
  let retry: { at: number; part: number } | undefined;
  while (at < characters.length) {
    const wanted = parts[part];
    if (wanted === 'text') {
      part++;
      retry = { at, part };
    } else if (wanted?.(characters[at] ?? '')) {
      at++;
      part++;
    } else if (retry !== undefined) {
      retry.at++;
      ({ at, part } = retry);
    } else return false;
  }
  return parts.slice(part).every(rest => rest === 'text');
}

function partsOf(pattern: readonly string[]): Part[] {
  const parts: Part[] = [];
  for (let i = 0; i < pattern.length; i++) {
    const character = pattern[i] ?? '';
    const next = pattern[i + 1];
    if (character === '*') parts.push('text');
    else if (character === '?') parts.push(() => true);
    else if (character === '\\' && next !== undefined) {
      parts.push(one => one === next);
      i++;
    } else if (character === '[') {
      // A bracket that stands first in the set is a member of it; a set that does not end is no set.
      const inverted = next === '!' || next === '^';
      const from = i + (inverted ? 2 : 1);
      const end = pattern.indexOf(']', from + 1);
      if (end < 0) parts.push(one => one === '[');
      else {
        const members = membersOf(pattern.slice(from, end));
        parts.push(one => members.some(([low, high]) => low <= one && one <= high) !== inverted);
        i = end;
      }
    } else parts.push(one => one === character);
  }
  return parts;
}

/** The ranges of a set; a character by itself is the range from it to it. */
function membersOf(set: readonly string[]): [low: string, high: string][] {
  const ranges: [string, string][] = [];
  for (let i = 0; i < set.length; i++) {
    const low = set[i] ?? '';
    const high = set[i + 1] === '-' ? set[i + 2] : undefined;
    ranges.push([low, high ?? low]);
    if (high !== undefined) i += 2;
  }
  return ranges;
}
