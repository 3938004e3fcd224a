/** What an error says, for a sentence that a person reads. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Is the error that a file or directory is not there? */
export function isMissing(error: unknown): boolean {
  return hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR');
}

/** Is it this error of the system's (errno(3))? */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** Is it a want of descriptors or memory? It says nothing about what was to be read, and may be over in a moment. */
export function isWant(error: unknown): boolean {
  return ['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN'].some(code => hasCode(error, code));
}
