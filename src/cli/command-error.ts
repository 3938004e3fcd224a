/** What the program ends with. */
export const exitStatus = { fine: 0, trouble: 1, usage: 2, noDaemon: 3 } as const;

const statusOf = {
  trouble: exitStatus.trouble,
  usage: exitStatus.usage,
  absent: exitStatus.noDaemon,
  denied: exitStatus.noDaemon,
} as const;

/** A command that cannot do what it was asked; written for the person who typed it. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly code: keyof typeof statusOf;
  /** What to do about it. */
  readonly advice: string;
  constructor(code: keyof typeof statusOf, message: string, advice: string) {
    super(message);
    this.code = code;
    this.advice = advice;
  }

  get exitStatus(): number {
    return statusOf[this.code];
  }
}
