import { sizeOf } from '@spatialsv/engine';

/** Tensors made from their names, as reference/heads/fill.py makes them, so that golden cases store no weights. */

const { imul } = Math;

/** (count) values in [−1, 1) of a name: FNV-1a of the name, then a hash of every place. */
export const uniformOf = (name: string, count: number): Float64Array => {
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

/**
 * Layer scales (`.gamma`) near 0.6, norm weights near 1, biases within 0.1, other weights with unit gain, anything else
 * within 0.5.
 */
export const filled = (name: string, shape: readonly number[]): Float32Array => {
  const size = sizeOf(shape);
  const [offset, gain] = rangeOf(name, shape, size);
  return Float32Array.from(uniformOf(name, size), (u) => offset + gain * u);
};

const rangeOf = (
  name: string,
  shape: readonly number[],
  size: number,
): readonly [number, number] => {
  if (name.endsWith('.gamma')) return [0.6, 0.2];
  if (shape.length === 1 && name.endsWith('.weight')) return [1, 0.1];
  if (name.endsWith('bias')) return [0, 0.1];
  if (shape.length >= 2 && name.endsWith('weight')) return [0, Math.sqrt(3 / (size / shape[0]!))];
  return [0, 0.5];
};
