import { compile } from '../compile.js';
import { float32 } from '../specs.js';
import { type Tensor, tf } from '../tfjs.js';
import { api } from './api.js';
import { laneOf } from './provider.js';
import { Slots } from './run-slots.js';
import { Session } from './session.js';

type Settle = (error: Error | null, result: unknown) => void;

/** Native calls of one function: counted when they start, and held when they end until they are let go. */
function hold(name: 'RunWithBinding' | 'CreateSessionFromArray') {
  const functions = api() as unknown as Record<string, { async: (...all: unknown[]) => void }>;
  const original = functions[name]!;
  const sync = original as unknown as (...all: unknown[]) => unknown;
  const state = { started: 0, isHeld: true, ended: [] as (() => void)[] };
  const async = (...all: unknown[]) => {
    const settle = all.pop() as Settle;
    state.started += 1;
    original.async(...all, (error: Error | null, result: unknown) => {
      if (state.isHeld) state.ended.push(() => settle(error, result));
      else settle(error, result);
    });
  };
  functions[name] = Object.assign((...all: unknown[]) => sync(...all), { async });
  return {
    state,
    /** Waits until so many calls have ended natively. */
    ended: async (count: number) => {
      while (state.ended.length < count) await new Promise((resolve) => setTimeout(resolve, 1));
    },
    release: () => {
      state.isHeld = false;
      functions[name] = original;
      for (const end of state.ended.splice(0)) end();
    },
  };
}

const sumOf = (size: number) =>
  compile(({ x }: { x: Tensor }) => ({ y: tf.sum(x) }), {
    x: float32(size),
  });

describe('a program', () => {
  it('is compiled while more runs are asked for than the pool has threads', async () => {
    const programs = await Promise.all([1, 2, 3, 4, 5, 6].map(sumOf));
    const runs = hold('RunWithBinding');
    const results = programs.map((program, i) => program.run({ x: new Float32Array(i + 1) }));
    await runs.ended(2);
    const another = await sumOf(7);
    expect(runs.state.started).toBe(2);
    runs.release();
    await Promise.all(results);
    await Promise.all([...programs, another].map((program) => program.dispose()));
  });

  it('is compiled beside another one', async () => {
    const opens = hold('CreateSessionFromArray');
    const both = [sumOf(8), sumOf(9)];
    await opens.ended(2);
    expect(opens.state.started).toBe(2);
    opens.release();
    for (const program of await Promise.all(both)) await program.dispose();
  });
});

describe('lanes', () => {
  it('are one for each GPU and one for each session of the CPU', () => {
    expect(laneOf('webgpu')).toBe(laneOf('webgpu'));
    expect(laneOf('cuda')).not.toBe(laneOf('webgpu'));
    expect(laneOf('cpu')).not.toBe(laneOf('cpu'));
  });

  it('let a session of WebGPU be opened only after what is at work there', async () => {
    const order: string[] = [];
    let end = () => {};
    const work = laneOf('webgpu').run(
      () =>
        new Promise<void>((resolve) => {
          end = () => {
            order.push('run');
            resolve();
          };
        }),
    );
    // A device that is not there fails, in its turn.
    const opening = Session.create(new Uint8Array(1), { provider: 'webgpu' }).catch(() => {
      order.push('session');
    });
    await new Promise<void>((resolve) => setImmediate(resolve));
    end();
    await Promise.all([work, opening]);
    expect(order).toEqual(['run', 'session']);
  });
});

describe('Slots', () => {
  it('keeps the order, and frees the slot of work that fails', async () => {
    const slots = new Slots(1);
    const order: number[] = [];
    const work = (n: number) =>
      slots.run(async () => {
        order.push(n);
        if (n === 1) throw new Error('failed');
      });
    const ended = await Promise.allSettled([work(0), work(1), work(2)]);
    expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(order).toEqual([0, 1, 2]);
  });
});
