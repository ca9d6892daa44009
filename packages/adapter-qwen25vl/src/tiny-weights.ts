import { createRandom, type Random } from '@spatialsv/core';
import type { Qwen25VlConfig, VisionConfig } from './qwen25vl-config.js';
import { qwen25VlShapes } from './qwen25vl-names.js';

/** Standard deviation of linear weights at fan-in 1; gives the usual 0.02 at width 1024. */
const GAIN = 0.64;
const EMBEDDING_DEVIATION = 0.04;

/**
 * Random weights that train from scratch, by published name.
 *
 * The decoder starts as small language models do (variance 1/fan-in, residual outputs scaled by 1/√(2L)). The vision
 * tower stays frozen in training, so it is made to pass on what it sees: its patch embedding mixes low-frequency
 * cosine components of each colour, a constant bias lets the norms keep brightness, and its blocks are small
 * residuals.
 */
export function tinyWeights(
  config: Qwen25VlConfig,
  seed: number,
  projectorGain = 0.2,
): Map<string, Float32Array> {
  const random = createRandom(seed);
  const weights = new Map<string, Float32Array>();
  for (const [name, shape] of Object.entries(qwen25VlShapes(config))) {
    weights.set(name, initialValue(config, name, shape, { random, projectorGain }));
  }
  return weights;
}

function initialValue(
  config: Qwen25VlConfig,
  name: string,
  shape: readonly number[],
  { random, projectorGain }: { readonly random: Random; readonly projectorGain: number },
): Float32Array {
  const size = shape.reduce((product, side) => product * side, 1);
  if (name === 'visual.patch_embed.proj.weight') return patchFilters(config.vision, random);
  if (name === 'visual.blocks.0.attn.proj.bias') return random.normals(size, 1);
  if (name === 'model.embed_tokens.weight') return random.normals(size, EMBEDDING_DEVIATION);
  if (/norm\d?\.weight$|layernorm\.weight$|ln_q\.weight$/.test(name))
    return new Float32Array(size).fill(1);
  if (name.endsWith('.bias')) return random.normals(size, 0.02);
  if (name === 'visual.merger.mlp.2.weight')
    return random.normals(size, projectorGain / Math.sqrt(shape[1]!));
  return random.normals(size, deviation(config, name, shape[1]!));
}

function deviation(config: Qwen25VlConfig, name: string, fanIn: number): number {
  const standard = 1 / Math.sqrt(fanIn);
  if (name.startsWith('visual.merger.mlp.0')) return standard;
  const isResidual = /(attn\.proj|o_proj|down_proj)\.weight$/.test(name);
  if (name.startsWith('visual.')) return isResidual ? 0.3 * standard : standard;
  return GAIN * standard * (isResidual ? 1 / Math.sqrt(2 * config.decoder.layers) : 1);
}

/** Cosine components per axis that the patch embedding sees. */
const FREQUENCIES = 4;

/**
 * (Cv, channels, T, patch, patch): random mixtures of the two-dimensional cosine components of each colour channel.
 * Higher frequencies are amplified by √(1 + u² + v²), because pictures have little of them.
 */
function patchFilters(vision: VisionConfig, random: Random): Float32Array {
  const { channels, temporalPatchSize, patchSize, hiddenSize } = vision;
  const plane = patchSize * patchSize;
  const basis = cosineBasis(patchSize);
  const filter = channels * temporalPatchSize * plane;
  const weights = new Float32Array(hiddenSize * filter);
  const scale = 1 / Math.sqrt(basis.length * channels) / temporalPatchSize;
  for (let row = 0; row < hiddenSize; row++) {
    for (let channel = 0; channel < channels; channel++) {
      const first = row * filter + channel * temporalPatchSize * plane;
      addMixture(weights, first, basis, scale, random);
      for (let frame = 1; frame < temporalPatchSize; frame++) {
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
