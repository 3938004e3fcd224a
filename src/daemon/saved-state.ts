import type { Link } from '../core/link/link.ts';
import { differenceOf, type SavedDefault, type State } from '../core/link/state.ts';
import { reasonOf } from '../core/tell/reason.ts';
import type { Store } from './rooms.ts';

/*
 * INVARIANTS
 * 1. `state` is what would be read after a kill.
 * 2. A link and a saved default are written before anything is done for them, and forgotten when it has been undone. A link
 *    is not written where a default cannot be that it may displace: nothing at all is done for it then.
 * 3. What could not be written is tried again at the next save.
 */

/** The state as the store has it: one small file changes with an event, however many links there are. */
export class SavedState {
  readonly #store: Store;
  #state: State;

  constructor(store: Store, state: State) {
    this.#store = store;
    this.#state = state;
  }

  get state(): State {
    return this.#state;
  }

  /**
   * Writes what the store does not have; with `forgets` what the state does not have any more is removed too.
   * @returns why not all of it could be written.
   */
  save(state: State, { forgets }: { forgets: boolean }): string | undefined {
    let fault: string | undefined;
    const attempt = (write: () => void): boolean => {
      try {
        write();
        return true;
      } catch (error) {
        fault ??= reasonOf(error);
        return false;
      }
    };
    const { come, gone } = this.#difference(state);
    const savedDefaults = this.#saveDefaults(state, forgets, attempt);
    const isStuck = fault !== undefined;
    const unsaved = come.filter(link => isStuck || !attempt(() => this.#store.saveLink(link)));
    const replaced = new Set(come.filter(link => !unsaved.includes(link)).map(fileOf));
    const missing = new Set(unsaved.map(fileOf));
    const left = gone.filter(link => {
      const file = fileOf(link);
      if (replaced.has(file)) return false;
      return missing.has(file) || !forgets || !attempt(() => this.#store.removeLink(link));
    });
    this.#state = { ...state, savedDefaults, ...listsOf(state, { unsaved, left }) };
    return fault;
  }

  /** These files could not be read before: the store has them. Those that are known already are left out. */
  recall({ links, others, savedDefaults }: Omit<State, 'bootId'>): void {
    const state = this.#state;
    const add = <T>(known: readonly T[], more: readonly T[]) => [
      ...known,
      ...more.filter(one => !known.includes(one)),
    ];
    this.#state = {
      ...state,
      links: add(state.links, links),
      others: add(state.others, others),
      savedDefaults: add(state.savedDefaults, savedDefaults),
    };
  }

  #difference({ links, others }: State): { come: readonly Link[]; gone: readonly Link[] } {
    const managed = differenceOf(this.#state.links, links);
    const unmanaged = differenceOf(this.#state.others, others);
    return { come: [...managed.come, ...unmanaged.come], gone: [...managed.gone, ...unmanaged.gone] };
  }

  #saveDefaults(
    { savedDefaults }: State,
    forgets: boolean,
    attempt: (write: () => void) => boolean,
  ): readonly SavedDefault[] {
    const before = this.#state.savedDefaults;
    const isDue = forgets ? !areSame(before, savedDefaults) : lacks(before, savedDefaults);
    if (!isDue) return before;
    return attempt(() => this.#store.saveDefaults(savedDefaults)) ? savedDefaults : before;
  }
}

/** A link has the same file for as long as it is up; when it is lost it has another, and each loss has its own. */
function fileOf({ ifindex, lost, order }: Link): string {
  return lost === true ? `${ifindex} lost ${order}` : `${ifindex}`;
}

/** The lists of the state, without what could not be written, and with what could not be removed. */
function listsOf(
  { links, others }: State,
  { unsaved, left }: { unsaved: readonly Link[]; left: readonly Link[] },
): Pick<State, 'links' | 'others'> {
  const listOf = (list: readonly Link[], isMeant: (link: Link) => boolean) => {
    const kept = unsaved.length === 0 ? list : list.filter(link => !unsaved.includes(link));
    const more = left.filter(isMeant);
    return more.length === 0 ? kept : [...kept, ...more];
  };
  return {
    links: listOf(links, ({ profile }) => profile !== undefined),
    others: listOf(others, ({ profile }) => profile === undefined),
  };
}

function lacks(before: readonly SavedDefault[], wanted: readonly SavedDefault[]): boolean {
  const routes = new Set(before.map(({ route }) => route));
  return wanted.some(({ route }) => !routes.has(route));
}

function areSame(before: readonly SavedDefault[], wanted: readonly SavedDefault[]): boolean {
  return before.length === wanted.length && JSON.stringify(before) === JSON.stringify(wanted);
}
