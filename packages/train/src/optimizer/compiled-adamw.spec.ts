import { float32, tf } from '@spatialsv/engine';
import { AdamwOptimizer } from './adamw-optimizer.js';
import { CompiledAdamw } from './compiled-adamw.js';
import { FusedAdamw } from './fused-adamw.js';
import { type GroupUpdate, OPTIMIZER_KINDS } from './group-update.js';

const SPECS = { w: float32(3, 5), other: float32(3, 5), bias: float32(7) };
const SETTINGS = { betas: [0.9, 0.95], epsilon: 1e-8, weightDecay: 0.01 } as const;
const SCALARS = { gradientScale: 0.5, secondScale: 1.4, stepSize: 0.01, decay: 0.999 };

const values = (size: number, seed: number) =>
  Float32Array.from({ length: size }, (_, i) => Math.sin(seed + 1.7 * i));

/** Three steps with gradients of their own. @returns all values of the state by kind and name. */
async function steps(update: GroupUpdate): Promise<Record<string, number[]>> {
  for (const [i, tensor] of Object.values(update.tensors.parameters).entries())
    await tensor.write(
      values(
        tensor.shape.reduce((a, b) => a * b),
        i,
      ),
    );
  for (let step = 1; step <= 3; step++) {
    for (const [i, tensor] of Object.values(update.tensors.accumulators).entries())
      await tensor.write(
        values(
          tensor.shape.reduce((a, b) => a * b),
          10 * step + i,
        ),
      );
    await update.run({ ...SCALARS, stepSize: SCALARS.stepSize / step });
  }
  const read: Record<string, number[]> = {};
  for (const kind of OPTIMIZER_KINDS)
    for (const [name, tensor] of Object.entries(update.tensors[kind]))
      read[`${kind}/${name}`] = Array.from(await tensor.read());
  return read;
}

it('updates tensor by tensor what the CPU updates chunk by chunk', async () => {
  const compiled = await CompiledAdamw.create(SPECS, SETTINGS, 'cpu');
  const chunked = await FusedAdamw.create(SPECS, SETTINGS);
  const [actual, expected] = [await steps(compiled), await steps(chunked)];
  expect(Object.keys(actual).sort()).toEqual(Object.keys(expected).sort());
  for (const [name, numbers] of Object.entries(actual)) {
    const worst = Math.max(...numbers.map((value, i) => Math.abs(value - expected[name]![i]!)));
    expect({ name, close: worst < 1e-6 }).toEqual({ name, close: true });
  }
  expect(actual['accumulators/w']).toEqual(new Array(15).fill(0));
  await compiled.dispose();
  await chunked.dispose();
});

it('leaves nothing on its device where a later parameter cannot be read', async () => {
  const group = 'spatial' as const;
  const unread = () => Promise.reject(new Error('the file ended'));
  const parameters = {
    first: { group, shape: [3], data: new Float32Array(3) },
    bias: { group, shape: [2], data: unread, decays: false },
  };
  const create = () => AdamwOptimizer.create(parameters, SETTINGS, 'tfjs-cpu');
  await expect(create()).rejects.toThrow('the file ended');
  const before = tf.memory().numTensors;
  await expect(create()).rejects.toThrow('the file ended');
  expect(tf.memory().numTensors).toBe(before);
});
