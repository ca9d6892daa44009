import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSafetensors } from '@spatialsv/core';
import { sizeOf, tf } from '@spatialsv/engine';
import { adamwUpdate, clipCoefficient, rateScalars, stepScalars, sumOfSquares } from './adamw.js';
import { AdamwOptimizer, type TrainableParameter } from './adamw-optimizer.js';
import { rateFactor } from './schedule.js';

const FOLDER = join(__dirname, '../__golden__/adamw');
const RECORD = JSON.parse(readFileSync(join(FOLDER, 'case.json'), 'utf8'));
const SHAPES: Record<string, number[]> = { w: [5, 7], b: [3] };
const NAMES = Object.keys(SHAPES);

beforeAll(() => tf.setBackend('cpu'));

const factorAt = (step: number) =>
  rateFactor(step, {
    steps: RECORD.steps,
    warmupRatio: RECORD.warmupSteps / RECORD.steps,
    type: 'cosine',
  });

const scalars = <Name extends string>(values: Record<Name, number>) =>
  Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, tf.scalar(value as number)]),
  ) as Record<Name, tf.Scalar>;

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  const { rtol, atol } = RECORD.tolerance;
  for (let i = 0; i < expected.length; i++) {
    expect(Math.abs(actual[i]! - expected[i]!)).toBeLessThanOrEqual(
      atol + rtol * Math.abs(expected[i]!),
    );
  }
}

describe.each(Object.keys(RECORD.cases))('AdamW, %s', (name) => {
  const { lr, betas, eps, weight_decay, clip } = RECORD.cases[name];
  const settings = { betas, epsilon: eps, weightDecay: weight_decay };

  it('takes the same 20 steps as torch.optim.AdamW with clipping and schedule', async () => {
    const file = await openSafetensors(join(FOLDER, 'vectors.safetensors'));
    const read = (key: string) => file.readFloat32(`${name}.${key}`);
    const [norms, rates] = [await read('norms'), await read('rates')];
    const gradients = new Map<string, Float32Array>();
    const after = new Map<string, Float32Array>();
    const state = new Map<string, ReturnType<typeof adamwUpdate>>();
    for (const key of NAMES) {
      gradients.set(key, await read(`gradients.${key}`));
      after.set(key, await read(`after.${key}`));
      const zeros = tf.zeros(SHAPES[key]!);
      const parameter = tf.tensor(await read(`start.${key}`), SHAPES[key]!);
      state.set(key, { parameter, first: zeros, second: zeros });
    }
    for (let step = 0; step < RECORD.steps; step++) {
      const slices = NAMES.map(
        (key) => [key, sliceAt(gradients.get(key)!, SHAPES[key]!, step)] as const,
      );
      const norm = Math.sqrt((await sumOfSquares(Object.fromEntries(slices)).data())[0]!);
      expectClose([norm], [norms[step]!]);
      const rate = lr * factorAt(step);
      expectClose([rate], [rates[step]!]);
      const factors = {
        ...scalars(stepScalars(settings, step + 1, clipCoefficient(norm, clip))),
        ...scalars(rateScalars(settings, step + 1, rate)),
      };
      for (const [key, gradient] of slices) {
        const next = adamwUpdate(settings, state.get(key)!, gradient, factors);
        state.set(key, next);
        const expected = await sliceAt(after.get(key)!, SHAPES[key]!, step).data();
        expectClose(await next.parameter.data(), expected);
      }
    }
  });

  it('takes them with the update of the CPU as well', async () => {
    const file = await openSafetensors(join(FOLDER, 'vectors.safetensors'));
    const read = (key: string) => file.readFloat32(`${name}.${key}`);
    const norms = await read('norms');
    const parameters: Record<string, TrainableParameter> = {};
    for (const key of NAMES)
      parameters[key] = { shape: SHAPES[key]!, group: 'spatial', data: await read(`start.${key}`) };
    const optimizer = await AdamwOptimizer.create(parameters, settings, 'cpu');
    for (let step = 0; step < RECORD.steps; step++) {
      for (const key of NAMES) {
        const stacked = await read(`gradients.${key}`);
        const gradient = await sliceAt(stacked, SHAPES[key]!, step).data();
        await optimizer.accumulators[key]!.write(gradient as Float32Array);
      }
      const rates = { 'language-model': 0, projector: 0, spatial: lr * factorAt(step) };
      await optimizer.step(step + 1, rates, clipCoefficient(norms[step]!, clip));
      for (const key of NAMES) {
        const expected = await sliceAt(await read(`after.${key}`), SHAPES[key]!, step).data();
        expectClose(await optimizer.parameters[key]!.read(), expected);
      }
    }
    await optimizer.dispose();
  });
});

function sliceAt(stacked: Float32Array, shape: number[], step: number) {
  const size = sizeOf(shape);
  return tf.tensor(stacked.slice(step * size, (step + 1) * size), shape);
}
