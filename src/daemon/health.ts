import { shellCommandOf } from '../core/decide/plan.ts';
import type { Links } from '../core/link/link.ts';
import { messageIds } from '../core/tell/message.ts';
import { statusLine } from '../core/tell/status.ts';
import type { Sentences } from './rooms.ts';
import type { Settlement } from './settle.ts';

export interface HealthOptions {
  journal: Sentences;
  /** Called with the status line whenever it changes. */
  onStatus(line: string): void;
}

/** How the daemon is: what is wrong, what may surprise, and the one line that says it. Each is told when it begins. */
export class Health {
  readonly #options: HealthOptions;
  /** What is wrong outside of the routes, by where it comes from. */
  readonly #faults = new Map<string, string>();
  /** Troubles and warnings that hold and have been told. */
  #said = new Set<string>();
  #links: Links = { links: [], others: [] };
  #settlement: Settlement | undefined;
  #status = '';

  constructor(options: HealthOptions) {
    this.#options = options;
  }

  /** The one line of `systemctl status`. */
  get status(): string {
    return this.#status;
  }

  /** All that is not as the configuration asks, a sentence each. */
  get troubles(): string[] {
    return [
      ...this.#faults.values(),
      ...failureLines(this.#settlement),
      ...(this.#settlement?.decision.troubles ?? []),
    ];
  }

  get warnings(): string[] {
    return this.#settlement?.decision.warnings ?? [];
  }

  hasFault(origin: string): boolean {
    return this.#faults.has(origin);
  }

  /** Something outside of the routes is wrong, or right again (`undefined`). */
  report(origin: string, fault: string | undefined): void {
    const before = this.#faults.get(origin);
    if (fault === before) return;
    if (fault === undefined) {
      this.#faults.delete(origin);
      this.#options.journal.notice({ MESSAGE_ID: messageIds.troubleOver }, `well again: ${before}`);
    } else {
      this.#faults.set(origin, fault);
      this.#options.journal.warn({ MESSAGE_ID: messageIds.troubleBegan }, fault);
    }
    this.#tell();
  }

  /** How things stand after a look at the kernel; without a settlement, as at the look before. */
  follow(links: Links, settlement: Settlement | undefined): void {
    this.#links = links;
    this.#settlement = settlement;
    const decision = settlement?.decision;
    const sayings = [...(decision?.troubles ?? []), ...(decision?.warnings ?? [])];
    for (const saying of sayings) {
      if (!this.#said.has(saying))
        this.#options.journal.warn({ MESSAGE_ID: messageIds.troubleBegan }, saying);
    }
    this.#said = new Set(sayings);
    this.#tell();
  }

  #tell(): void {
    const status = statusLine(this.#links, this.#settlement?.decision, this.troubles);
    if (status === this.#status) return;
    this.#status = status;
    this.#options.onStatus(status);
  }
}

/** What the kernel would not take, a sentence each. */
export function failureLines(settlement: Settlement | undefined): string[] {
  return settlement?.failures.map(({ step, error }) => `${shellCommandOf(step)}: ${error}`) ?? [];
}
