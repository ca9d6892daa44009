/**
 * Random weights of small models that train from scratch.
 *
 * Decoders start as small language models do (variance 1/fan-in, residual outputs scaled by 1/√(2L)). Vision towers stay
 * frozen in training, so they are made to pass on what they see: the patch embedding mixes low-frequency cosine components
 * of each colour, and the blocks are small residuals.
 */
import { sizeOf } from '@spatialsv/engine';
import type { Shapes, VisionTowerConfig } from '../nn/index.js';
import { createRandom, type Random } from '../random.js';

/** Values of one tensor, drawn from the stream that all tensors share. */
export type TinyValues = (name: string, shape: readonly number[], random: Random) => Float32Array;

/** Weights by name, drawn in the order of `shapes`. */
export function tinyWeights(shapes: Shapes, seed: number, valuesOf: TinyValues) {
  const random = createRandom(seed);
  return new Map(
    Object.entries(shapes).map(([name, shape]) => [name, valuesOf(name, shape, random)] as const),
  );
}

/** Standard deviation of a decoder's linear weights at fan-in 1; gives the usual 0.02 at width 1024. */
const GAIN = 0.64;
const EMBEDDING_DEVIATION = 0.04;
const BIAS_DEVIATION = 0.02;
/** Size of what a block of a frozen tower adds. */
const TOWER_RESIDUAL = 0.3;

const isResidual = (name: string): boolean =>
  /(attn\.proj|out_proj|o_proj|fc2|down_proj)\.weight$/.test(name);

/** Values of a decoder's tensor. @param layers blocks of the decoder. */
export const tinyDecoderValues =
  (layers: number): TinyValues =>
  (name, shape, random) => {
    if (name.endsWith('embed_tokens.weight'))
      return random.normals(sizeOf(shape), EMBEDDING_DEVIATION);
    const residual = isResidual(name) ? 1 / Math.sqrt(2 * layers) : 1;
    return layerValues(name, shape, random, GAIN * residual);
  };

/** Values of a vision tower's tensor, but for the patch embedding. */
export const tinyTowerValues: TinyValues = (name, shape, random) =>
  layerValues(name, shape, random, isResidual(name) ? TOWER_RESIDUAL : 1);

/** Norms are 1, biases small, weights have the variance gain²/fan-in. */
function layerValues(
  name: string,
  shape: readonly number[],
  random: Random,
  gain: number,
): Float32Array {
  const size = sizeOf(shape);
  if (/(norm\w*|ln_q)\.weight$/.test(name)) return new Float32Array(size).fill(1);
  if (name.endsWith('.bias')) return random.normals(size, BIAS_DEVIATION);
  return random.normals(size, gain / Math.sqrt(shape[1]!));
}

/** Cosine components per axis that the patch embedding sees. */
const FREQUENCIES = 4;

/**
 * (Cv, channels, T, patch, patch): random mixtures of the two-dimensional cosine components of each colour channel.
 * Higher frequencies are amplified by √(1 + u² + v²), because images have little of them.
 */
export function tinyPatchFilters(
  { width, patch }: Pick<VisionTowerConfig, 'width' | 'patch'>,
  random: Random,
): Float32Array {
  const { channels, frames = 1, size } = patch;
  const plane = size * size;
  const basis = cosineBasis(size);
  const filter = channels * frames * plane;
  const weights = new Float32Array(width * filter);
  const scale = 1 / Math.sqrt(basis.length * channels) / frames;
  for (let row = 0; row < width; row++) {
    for (let channel = 0; channel < channels; channel++) {
      const first = row * filter + channel * frames * plane;
      addMixture(weights, first, basis, scale, random);
      for (let frame = 1; frame < frames; frame++) {
        weights.copyWithin(first + frame * plane, first, first + plane);
      }
    }
  }
  return weights;
}

function addMixture(
  weights: Float32Array,
  first: number,
  basis: readonly Float32Array[],
  scale: number,
  random: Random,
): void {
  for (const component of basis) {
    const share = random.normal(0, 4 * scale);
    component.forEach((value, i) => {
      weights[first + i]! += share * value;
    });
  }
}

/** FREQUENCIES² patterns of patch² values; a patch of constant value 1 has the response 1 to the first. */
function cosineBasis(side: number): readonly Float32Array[] {
  const wave = (frequency: number, x: number) => Math.cos((Math.PI * frequency * (x + 0.5)) / side);
  return Array.from({ length: FREQUENCIES ** 2 }, (_, index) => {
    const [u, v] = [Math.floor(index / FREQUENCIES), index % FREQUENCIES];
    const gain = Math.sqrt(1 + u * u + v * v) / (side * side);
    return Float32Array.from({ length: side * side }, (_, i) => {
      return gain * wave(u, Math.floor(i / side)) * wave(v, i % side);
    });
  });
}
