import {
  type CompiledProgram,
  compile,
  type DeviceTensor,
  float32,
  TensorPool,
  tf,
} from './index.js';

const program = ({ x }: { x: tf.Tensor }) => ({
  double: tf.mul(x, 2),
  sum: tf.sum(x),
});

const valuesOf = async (tensor: DeviceTensor) => [...(await tensor.read())];

describe('TensorPool', () => {
  let compiled: CompiledProgram<Record<'double' | 'sum', DeviceTensor>>;
  let pool: TensorPool;
  const run = (...values: number[]) => pool.run(compiled, { x: Float32Array.from(values) });

  beforeEach(async () => {
    compiled = await compile(program, { x: float32(2) }, { device: 'cpu' });
    pool = new TensorPool(1024);
  });
  afterEach(async () => {
    pool.dispose();
    await compiled.dispose();
  });

  it('runs into tensors that were given back', async () => {
    const first = await run(1, 2);
    expect(await valuesOf(first.double)).toEqual([2, 4]);
    const held = await run(3, 4);
    expect(held.double).not.toBe(first.double);
    pool.give(first.double, first.sum);
    const second = await run(5, 6);
    expect(second.double === first.double).toBe(true);
    expect(second.sum === first.sum).toBe(true);
    expect(await valuesOf(second.double)).toEqual([10, 12]);
    expect(await valuesOf(second.sum)).toEqual([11]);
    expect(await valuesOf(held.double)).toEqual([6, 8]);
    pool.give(...Object.values(held), ...Object.values(second));
  });

  it('keeps no more than its capacity', async () => {
    pool = new TensorPool(8);
    const first = await run(1, 2);
    pool.give(first.double, first.sum);
    const second = await run(1, 2);
    expect(second.double === first.double).toBe(false);
    expect(second.sum === first.sum).toBe(true);
  });

  it('keeps its tensors when a run fails', async () => {
    const first = await run(1, 2);
    pool.give(first.double, first.sum);
    await expect(run(1, 2, 3)).rejects.toThrow();
    const second = await run(1, 2);
    expect(second.double === first.double).toBe(true);
    expect(second.sum === first.sum).toBe(true);
  });

  it('disposes what comes back after its end', async () => {
    const { double, sum } = await run(1, 2);
    pool.dispose();
    const disposed = jest.spyOn(double, 'dispose');
    pool.give(double, sum);
    expect(disposed).toHaveBeenCalledTimes(1);
  });

  it('keeps nothing of eager devices, which do not write into given memory', async () => {
    const eager = await compile(program, { x: float32(2) }, { device: 'tfjs-cpu' });
    const before = tf.memory().numTensors;
    const { double, sum } = await pool.run(eager, { x: Float32Array.of(1, 2) });
    expect(await valuesOf(double)).toEqual([2, 4]);
    pool.give(double, sum);
    expect(tf.memory().numTensors).toBe(before);
    await eager.dispose();
  });
});
