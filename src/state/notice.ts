/** A sentence that a person should know; `warning` where something was lost or is wrong. */
export interface Notice {
  level: 'notice' | 'warning';
  text: string;
}

/** A file that cannot be read; `why` completes a sentence that begins with its path. */
export interface Unreadable {
  path: string;
  why: string;
}

/** So many files are named; of more, their number. */
const mostNamed = 10;

export function warningsOf(unreadable: readonly Unreadable[], directory: string): Notice[] {
  const sentences = unreadable
    .slice(0, mostNamed)
    .map(({ path, why }) => `${path} ${why}; what it held is not known`);
  const more = unreadable.length - mostNamed;
  if (more > 0) sentences.push(`${more} more files in ${directory} cannot be read`);
  return sentences.map(text => ({ level: 'warning', text }));
}

export function historyNotice(directory: string): Notice {
  const text = `the state in ${directory} is of an earlier boot and is history now: the kernel has fresh routes`;
  return { level: 'notice', text };
}
