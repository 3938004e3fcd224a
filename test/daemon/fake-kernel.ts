import { commandOf, type Step } from '../../src/core/decide/plan.ts';
import type { Address, Interface, Observed } from '../../src/core/route/observed.ts';
import type { Family } from '../../src/core/route/prefix.ts';
import { devicesOf, identityOf, type Route } from '../../src/core/route/route.ts';
import { parseRoute } from '../../src/core/route/route-line.ts';
import type { Kernel, StepResult } from '../../src/daemon/rooms.ts';

/** As the kernel's room says it where `ip` cannot be asked. */
export class Deaf extends Error {
  override readonly name = 'IpError';
}

/**
 * A routing table as text, with the rules of fib_table_insert() and fib_table_delete(): fast, and never the only
 * witness (test/netns asks the real one). A command that it does not know fails the test.
 */
export class FakeKernel implements Kernel {
  interfaces: Interface[] = [];
  addresses: Address[] = [];
  routes: Route[] = [];
  /** It does not answer. */
  isDeaf = false;
  /** Called before every change; throwing is a crash between two commands. */
  beforeChange: (command: string) => void = () => undefined;

  add(line: string, family: Family = 'inet'): void {
    this.#route('append', line, family);
  }

  table(): string[] {
    return this.routes.map(route => `${route.family} ${route.line}`);
  }

  setUp(name: string, up: boolean): void {
    this.interfaces = this.interfaces.map(face => (face.name === name ? { ...face, up } : face));
    if (!up) this.#flush(name);
  }

  remove(name: string): void {
    this.interfaces = this.interfaces.filter(face => face.name !== name);
    this.#flush(name);
  }

  async observe(): Promise<Observed> {
    if (this.isDeaf) throw new Deaf('ip cannot be asked');
    const { interfaces, addresses, routes } = this;
    return {
      interfaces: [...interfaces],
      addresses: [...addresses],
      routes: [...routes],
      rules: [],
      proxyNeighbours: [],
    };
  }

  survey(): Promise<Observed> {
    return this.observe();
  }

  async apply(steps: readonly Step[]): Promise<StepResult[]> {
    const failed = new Map<Step, StepResult>();
    const fail = (result: StepResult) => {
      failed.set(result.step, result);
      return result;
    };
    return [...steps]
      .sort((a, b) => a.stage - b.stage)
      .map(step => {
        const blocking = step.needs.flatMap(needed => failed.get(needed) ?? []);
        if (blocking.length > 0)
          return fail({ step, skipped: true, unsure: blocking.every(({ unsure }) => unsure === true) });
        const command = commandOf(step);
        this.beforeChange(command);
        const error = this.run(command, 'route' in step ? step.route.family : 'inet');
        if (error === undefined || error.includes('No such process')) return { step };
        return fail({ step, error, unsure: error.includes('File exists') });
      });
  }

  /** One command of `ip -batch`; the kernel's complaint if it has one. */
  run(command: string, family: Family): string | undefined {
    const [object, verb, ...words] = command.split(' ');
    if (object !== 'route' || verb === undefined)
      throw new Error(`the fake kernel does not know: ${command}`);
    return this.#route(verb, words.join(' '), family);
  }

  #route(verb: string, line: string, family: Family): string | undefined {
    const route = parseRoute(line, family);
    if (route === undefined) throw new Error(`the fake kernel cannot read: ${line}`);
    const sameKey = (other: Route) => keyOf(other) === keyOf(route);
    if (verb === 'del') {
      const at = this.routes.findIndex(other => identityOf(other) === identityOf(route));
      if (at < 0) return 'RTNETLINK answers: No such process';
      this.routes.splice(at, 1);
      return undefined;
    }
    if (devicesOf(route).some(dev => !this.interfaces.some(face => face.name === dev && face.up)))
      return 'Error: Device for nexthop is not up.';
    if (this.routes.some(other => identityOf(other) === identityOf(route)))
      return 'RTNETLINK answers: File exists';
    if (verb === 'add' && this.routes.some(sameKey)) return 'RTNETLINK answers: File exists';
    if (verb !== 'add' && verb !== 'append' && verb !== 'prepend')
      throw new Error(`the fake kernel does not know: route ${verb}`);
    const before =
      verb === 'prepend'
        ? (other: Route) => keyOf(other) >= keyOf(route)
        : (other: Route) => keyOf(other) > keyOf(route);
    const at = this.routes.findIndex(before);
    this.routes.splice(at < 0 ? this.routes.length : at, 0, route);
    return undefined;
  }

  #flush(name: string): void {
    this.routes = this.routes.filter(route => !devicesOf(route).includes(name));
  }
}

/** The order of the table: family, destination, then metric. */
function keyOf(route: Route): string {
  return `${route.family} ${route.dst} ${String(route.metric).padStart(10, '0')}`;
}
