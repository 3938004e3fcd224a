// What a test of the daemon says of its machine: the disk, the profiles, the events and the links that are plugged in.
import * as v from 'valibot';
import type { LinkEvent } from '../../src/core/link/event.ts';
import { type Profile, ProfileSchema } from '../../src/core/link/profile.ts';
import { emptyState, type State } from '../../src/core/link/state.ts';
import type { FakeKernel } from './fake-kernel.ts';

export const server = '203.0.113.5';
export const quiet = {
  info: () => undefined,
  notice: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** A disk that a test can make fail, and that a crash cannot take anything from. */
export class Disk {
  state: State = emptyState('boot');
  full = false;
  beforeSave: () => void = () => undefined;
  async load() {
    return { state: structuredClone(this.state), notices: [] };
  }
  async save(state: State): Promise<void> {
    this.beforeSave();
    if (this.full) throw new Error('no space left on device');
    this.state = structuredClone(state);
  }
}

export function profile(name: string, settings: object): Profile {
  return { name, ...v.parse(ProfileSchema, { server, ...settings }) };
}

export function event(name: LinkEvent['name'], link: string, more: Partial<LinkEvent> = {}): LinkEvent {
  return {
    version: 1,
    name,
    interface: link,
    local: '10.99.0.2',
    remote: '10.99.0.1',
    ipparam: 'work',
    pid: 7,
    dns: [],
    peerOptions: [],
    ...more,
  };
}

let nextIndex = 100;
export function plug(kernel: FakeKernel, name: string): void {
  kernel.interfaces.push({ name, ifindex: nextIndex++, up: true });
  kernel.add(`10.99.0.1 dev ${name} proto kernel scope link src 10.99.0.2`);
}
