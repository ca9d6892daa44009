/** Tensors made from their names, as reference/dav3/tiny_models.py makes them, so that neither side stores weights. */
import { float32Source, writeSafetensors } from '@spatialsv/core';
import type { Shapes } from '../da3-names.js';

const { imul } = Math;

/** (count) values in [−1, 1) of a name: FNV-1a of the name, then a hash of every place. */
export const uniform = (name: string, count: number): Float64Array => {
  let start = 2166136261;
  for (const byte of new TextEncoder().encode(name)) start = imul(start ^ byte, 16777619);
  return Float64Array.from(
    { length: count },
    (_, i) => mix(start + imul(i, 0x9e3779b9)) / 2 ** 31 - 1,
  );
};

const mix = (value: number): number => {
  let x = value;
  x ^= x >>> 16;
  x = imul(x, 0x7feb352d);
  x ^= x >>> 15;
  x = imul(x, 0x846ca68b);
  x ^= x >>> 16;
  return x >>> 0;
};

/** Layer scales near 0.6, norms near 1, biases within 0.1, other weights with unit gain, the rest within 0.5. */
export const fill = (name: string, shape: readonly number[]): Float32Array => {
  const size = shape.reduce((product, n) => product * n, 1);
  const [offset, gain] = rule(name, shape, size);
  return Float32Array.from(uniform(name, size), (u) => offset + gain * u);
};

const rule = (name: string, shape: readonly number[], size: number): readonly [number, number] => {
  if (name.endsWith('.gamma')) return [0.6, 0.2];
  if (shape.length === 1 && name.endsWith('.weight')) return [1, 0.1];
  if (name.endsWith('bias')) return [0, 0.1];
  if (shape.length >= 2 && name.endsWith('weight')) return [0, Math.sqrt(3 / (size / shape[0]!))];
  return [0, 0.5];
};

/**
 * Writes `model.safetensors` with values made from the names behind `model.`.
 * @param shifts added to the tensors of these names, without `model.`.
 */
export const writeFilled = async (
  folder: string,
  shapes: Shapes,
  shifts: Readonly<Record<string, number>> = {},
): Promise<void> => {
  const tensors = Object.entries(shapes).map(([name, shape]) => {
    const plain = name.replace(/^model\./, '');
    const values = fill(plain, shape).map((value) => value + (shifts[plain] ?? 0));
    return [name, float32Source(values, shape)] as const;
  });
  await writeSafetensors(`${folder}/model.safetensors`, new Map(tensors));
};

const MEAN = [0.485, 0.456, 0.406];
const DEVIATION = [0.229, 0.224, 0.225];

/** (H, W, 3) of each view: waves, ImageNet-normalised. */
export const waves = (views: number, height: number, width: number): Float32Array[] =>
  Array.from({ length: views }, (_, s) =>
    Float32Array.from({ length: height * width * 3 }, (_, i) => {
      const c = i % 3;
      const x = Math.floor(i / 3) % width;
      const y = Math.floor(i / 3 / width);
      const phase = 0.11 * (c + 1) * x + 0.07 * (s + 2) * y + 0.5 * c + 0.9 * s;
      return (Math.fround(0.5 + 0.45 * Math.sin(phase)) - MEAN[c]!) / DEVIATION[c]!;
    }),
  );
