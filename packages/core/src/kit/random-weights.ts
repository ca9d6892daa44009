/** Checkpoints of random weights, of any size: for tests, demonstrations and measurements. */
import { sizeOf } from '@spatialsv/engine';
import type { Shapes } from '../nn/index.js';
import { createRandom } from '../random.js';
import type { TensorSource, TensorSources } from '../safetensors/index.js';

/** Bounds of evenly spread values, or the values themselves. */
export type RandomValues = readonly [low: number, high: number] | Float32Array;

/** Values written at a time: 4 MiB. */
const PIECE = 1 << 20;

/**
 * Random float32 tensors that are made while they are written, a piece at a time. Equal for equal seeds; every tensor has
 * a stream of its own, so that its values do not depend on the others.
 */
export function randomTensors(
  shapes: Shapes,
  seed: number,
  valuesOf: (name: string, shape: readonly number[]) => RandomValues,
): TensorSources {
  const sources = Object.entries(shapes).map(
    ([name, shape], index) =>
      [name, randomSource(shape, seed * 2 ** 16 + index, valuesOf(name, shape))] as const,
  );
  return new Map(sources);
}

const randomSource = (
  shape: readonly number[],
  seed: number,
  values: RandomValues,
): TensorSource => ({
  dtype: 'F32',
  shape,
  bytes: async function* () {
    if (values instanceof Float32Array) {
      yield new Uint8Array(values.buffer);
      return;
    }
    const count = sizeOf(shape);
    const draw = uniformValues(seed, values);
    for (let start = 0; start < count; start += PIECE)
      yield new Uint8Array(draw(Math.min(PIECE, count - start)).buffer);
  },
});

/** Draws the next values of a stream. Marsaglia's xorshift, inlined: large models have more than 10⁹ weights. */
function uniformValues(
  seed: number,
  [low, high]: readonly [number, number],
): (count: number) => Float32Array {
  const scale = (high - low) / 2 ** 32;
  let state = 1 + createRandom(seed).integer(2 ** 32 - 1);
  return (count) => {
    const values = new Float32Array(count);
    let x = state;
    for (let i = 0; i < count; i++) {
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
      values[i] = low + (x >>> 0) * scale;
    }
    state = x;
    return values;
  };
}

/**
 * Layer scales near 0.2, norms near 1, biases near 0, other weights with unit gain, anything else within 0.5.
 * @param gain of a weight, 1 where absent.
 */
export function unitGain(
  name: string,
  shape: readonly number[],
  gain = 1,
): readonly [number, number] {
  if (name.endsWith('.gamma')) return [0.1, 0.3];
  if (shape.length === 1 && name.endsWith('.weight')) return [0.9, 1.1];
  if (name.endsWith('bias')) return [-0.05, 0.05];
  if (!name.endsWith('weight')) return [-0.5, 0.5];
  const inputs = sizeOf(shape.slice(1));
  const limit = Math.sqrt(3 / inputs) * gain;
  return [-limit, limit];
}
