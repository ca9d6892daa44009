import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createDecoder } from '@spatialsv/core';
import { CompiledDecoder, padSequence } from '@spatialsv/core/kit';
import { type MappedTensor, ProgramCache, sizeOf } from '@spatialsv/engine';
import type { Target } from '../target.js';
import { type GpuSize, gpuDecoderConfig, gpuShapes, NAMES, randomValues } from './gpu-sizes.js';

/** A prompt and the tokens after it. */
export interface GpuAnswers {
  /** A whole prompt. */
  prefill(): Promise<void>;
  /** One token after the last prompt. */
  step(): Promise<void>;
  dispose(): Promise<void>;
}

/** Room for the tokens after a prompt. */
const MORE = 64;

/** A decoder with bfloat16 weights in a file, as a checkpoint has them. */
export async function openGpuAnswers(size: GpuSize, target: Target): Promise<GpuAnswers> {
  const folder = await mkdtemp(path.join(tmpdir(), 'spatialsv-gpu-'));
  const config = gpuDecoderConfig(size);
  const programs = new ProgramCache(64);
  const decoder = new CompiledDecoder({
    decoder: createDecoder(config, NAMES),
    sizes: { ...config, positionRows: 1 },
    weights: await writeWeights(path.join(folder, 'weights.bin'), gpuShapes(size)),
    programs,
    ...target,
  });
  const { tokens } = size;
  const inputIds = Int32Array.from({ length: tokens }, (_, i) => (i * 7919) % size.vocabularySize);
  const places = Int32Array.from({ length: tokens + MORE }, (_, i) => i);
  const prompt = places.subarray(0, tokens);
  const sequence = padSequence({
    ...{ inputIds, positions: prompt, positionRows: 1 as const },
    ...{ nextPosition: tokens, spliceIndex: prompt },
  });
  const cache = decoder.createCache(tokens + MORE + 1);
  let taken = tokens;
  return {
    prefill: async () => {
      taken = tokens;
      await decoder.prefill(sequence, new Float32Array(0), cache, prompt);
    },
    step: async () => {
      const at = places.slice(taken, taken + 1);
      const next = { inputIds: Int32Array.of(1), positions: at, slots: at };
      await decoder.extend(cache, [{ ...next, seen: places.subarray(0, taken) }]);
      taken = Math.min(taken + 1, tokens + MORE - 1);
    },
    dispose: async () => {
      cache.dispose();
      await programs.dispose();
      await rm(folder, { recursive: true });
    },
  };
}

/** Tensors lie over each other in the file, each at a place of its own: on a device every one is a copy of its own. */
async function writeWeights(
  file: string,
  shapes: Readonly<Record<string, readonly number[]>>,
): Promise<Record<string, MappedTensor>> {
  const entries = Object.entries(shapes);
  const count = ([, shape]: (typeof entries)[number]) => sizeOf(shape);
  const largest = Math.max(...entries.map(count));
  const STEP = 64;
  const values = randomValues(largest + (STEP / 2) * entries.length);
  // The upper half of a float32 is a bfloat16.
  const halves = new Uint16Array(values.length);
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < words.length; i += 1) halves[i] = words[i]! >>> 16;
  await writeFile(file, halves);
  return Object.fromEntries(
    entries.map((entry, i) => {
      const [name, shape] = entry;
      const place = { file, byteOffset: STEP * i, byteLength: 2 * count(entry) };
      return [name, { kind: 'mapped', storedAs: 'BF16', shape, ...place } as const];
    }),
  );
}
