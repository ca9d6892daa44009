import { createRandom, type DecoderConfig, decoderShapes } from '@spatialsv/core';
import { sizeOf } from '@spatialsv/engine';

/** A decoder as `npm run bench -- gpu` runs it, here and in PyTorch (`reference/bench_gpu.py`). */
export interface GpuSize {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly layers: number;
  readonly vocabularySize: number;
  /** Of a training step, or of a prompt. */
  readonly tokens: number;
}

/** Qwen2.5-0.5B and the decoder of Qwen2.5-VL-3B. */
export const SIZE_05B: GpuSize = {
  hiddenSize: 896,
  intermediateSize: 4864,
  heads: 14,
  kvHeads: 2,
  headDim: 64,
  layers: 24,
  vocabularySize: 151936,
  tokens: 4096,
};
export const SIZE_3B: GpuSize = {
  hiddenSize: 2048,
  intermediateSize: 11008,
  heads: 16,
  kvHeads: 2,
  headDim: 128,
  layers: 36,
  vocabularySize: 151936,
  tokens: 4096,
};
/** To see that everything runs. */
export const SIZE_SMALL: GpuSize = {
  hiddenSize: 64,
  intermediateSize: 96,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  layers: 2,
  vocabularySize: 512,
  tokens: 64,
};

export const NAMES = { model: 'model', head: 'lm_head.weight' };

export const gpuDecoderConfig = (size: GpuSize): DecoderConfig => ({
  ...size,
  rmsNormEps: 1e-6,
  qkvBias: true,
  qkNorm: false,
  tieHead: true,
  rope: { theta: 1e6 },
});

export const gpuShapes = (size: GpuSize): Record<string, readonly number[]> =>
  decoderShapes(gpuDecoderConfig(size), NAMES);

/** Values of all tensors. */
export const parameterCount = (size: GpuSize): number =>
  Object.values(gpuShapes(size))
    .map((shape) => sizeOf(shape))
    .reduce((sum, count) => sum + count, 0);

const POOL = 2 ** 24;
let pool: Float32Array | undefined;

/** Small random values; those of large arrays repeat, because billions of them would take longer than what is measured. */
export function randomValues(count: number): Float32Array {
  if (pool === undefined) {
    const random = createRandom(1);
    pool = Float32Array.from({ length: POOL }, () => random.uniform(-0.02, 0.02));
  }
  if (count <= POOL) return pool.subarray(0, count);
  const values = new Float32Array(count);
  for (let at = 0; at < count; at += POOL)
    values.set(pool.subarray(0, Math.min(POOL, count - at)), at);
  return values;
}
