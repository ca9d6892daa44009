/** Weights made from their names and spread widely, so that a wrong operator shows: reference/golden_weights.py makes them too. */

import { cp } from 'node:fs/promises';
import { sizeOf } from '@spatialsv/engine';
import { hashText } from '../hash-text.js';
import type { Shapes } from '../nn/index.js';
import { float32Source, saveWeights, type TensorSource } from '../safetensors/index.js';

/**
 * Uniform with standard deviation 0.2, or 1 + uniform with 0.1 for the weights and biases of norms; exact in float32 in any
 * language.
 */
export const wideWeight = (name: string, shape: readonly number[]): Float32Array => {
  const size = sizeOf(shape);
  const start = hashText(name);
  const isNorm = name.includes('norm') || name.includes('ln_q');
  const scale = Math.fround(isNorm ? 0.1732 : 0.3464);
  return Float32Array.from({ length: size }, (_, i) => {
    let x = (Math.imul(i, 0x9e3779b9) + start) >>> 0;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b) >>> 0;
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35) >>> 0;
    x = (x ^ (x >>> 16)) >>> 0;
    const value = Math.fround(scale * Math.fround((x >>> 8) * 2 ** -23 - 1));
    return isNorm ? Math.fround(value + 1) : value;
  });
};

/**
 * Copies a folder without weights and adds wide ones.
 * @param shapes by the names that values are made from. @param nameInFile name in the file where it is another.
 */
export const writeWideCheckpoint = async (
  source: string,
  target: string,
  shapes: Shapes,
  nameInFile = (name: string) => name,
): Promise<void> => {
  await cp(source, target, { recursive: true });
  const tensors = Object.entries(shapes).map(([name, shape]): readonly [string, TensorSource] => [
    nameInFile(name),
    float32Source(wideWeight(name, shape), shape),
  ]);
  await saveWeights(target, new Map(tensors));
};
