import {
  type CompiledProgram,
  type DeviceTensor,
  type ProgramUse,
  TensorPool,
  type Tree,
} from '@spatialsv/engine';
import { Collected, TensorScope } from './tensor-scope.js';

const tensor = (...values: number[]) => ({
  shape: [values.length],
  dtype: 'float32' as const,
  read: async () => Float32Array.from(values),
  write: async () => undefined,
  dispose: jest.fn(),
});

/** A program that gives the same outputs at every run. */
const programOf =
  (outputs: Tree<DeviceTensor>): ProgramUse =>
  (work) => {
    const program: Pick<CompiledProgram, 'run'> = { run: async () => outputs };
    return work(program as CompiledProgram);
  };

/** A pool that remembers what it was given. */
class RecordingPool extends TensorPool {
  readonly given: DeviceTensor[] = [];

  override run<Results>(program: CompiledProgram<Results>) {
    return program.run({});
  }

  override give(...tensors: DeviceTensor[]): void {
    this.given.push(...tensors);
  }
}

describe('a scope of tensors', () => {
  it('gives back what is left at its end, each tensor once', async () => {
    const pool = new RecordingPool(0);
    const scope = new TensorScope(pool);
    const outputs = { a: tensor(1), deeper: { b: tensor(2), c: tensor(3) } };
    const { a, deeper } = await scope.run<typeof outputs>(programOf(outputs), {}, false);
    scope.free(deeper, tensor(4));
    expect(pool.given).toEqual([deeper.b, deeper.c]);
    scope.dispose();
    scope.dispose();
    expect(pool.given).toEqual([deeper.b, deeper.c, a]);
  });

  it('runs nothing once its signal is aborted', async () => {
    const scope = new TensorScope(new RecordingPool(0), AbortSignal.abort('enough'));
    await expect(scope.run(programOf({ a: tensor(1) }), {}, false)).rejects.toBe('enough');
  });

  it('leaves alone what it does not own', () => {
    const pool = new RecordingPool(0);
    new TensorScope(pool).free({ other: tensor(1) });
    expect(pool.given).toEqual([]);
  });
});

it('values of views are collected by their number', async () => {
  const collected = new Collected(2);
  await collected.take(1, tensor(3, 4));
  collected.put(0, Float32Array.of(1, 2));
  expect([...collected.values()]).toEqual([1, 2, 3, 4]);
});
