// Takes inputs to one target after the other for a while. What it is about to take stands in shared memory, so that the
// test knows it when an input takes for ever.
import { parentPort } from 'node:worker_threads';
import { targets } from './fuzz-targets.ts';
import { mutate } from './mutation.ts';
import { drawing } from './random.ts';

export interface Order {
  target: string;
  seed: number;
  /** Milliseconds. */
  duration: number;
  /** One number: the input that is under way. */
  progress: SharedArrayBuffer;
}

export interface Result {
  inputs: number;
  /** Milliseconds. */
  slowest: number;
  /** The input that broke a promise, its bytes as Latin-1. */
  failed?: { input: number; bytes: string; error: string };
}

parentPort?.on('message', (order: Order) => {
  void take(order).then(result => parentPort?.postMessage(result));
});

async function take({ target: name, seed, duration, progress }: Order): Promise<Result> {
  const target = targets[name];
  if (target === undefined) throw new Error(`there is no ${name}`);
  const underWay = new Int32Array(progress);
  let inputs = 0;
  let slowest = 0;
  let last = performance.now();
  for (const end = last + duration; last < end; inputs++) {
    Atomics.store(underWay, 0, inputs);
    const bytes = mutate(target.samples, drawing(seed * 1_000_003 + inputs));
    try {
      const taken = target.take(bytes);
      if (taken !== undefined) await taken;
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      const failed = { input: inputs, bytes: JSON.stringify(bytes.toString('latin1')), error: text };
      return { inputs, slowest, failed };
    }
    const now = performance.now();
    slowest = Math.max(slowest, now - last);
    last = now;
  }
  return { inputs, slowest };
}
