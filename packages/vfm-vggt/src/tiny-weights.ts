import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import {
  createRandom,
  type Random,
  type TensorSource,
  writeFileAtomic,
  writeSafetensors,
} from '@spatialsv/core';
import { parseVggtConfig, type VggtConfig, vggtConfigFile } from './vggt-config.js';
import { vggtTensorShapes } from './vggt-names.js';

/** Every part of the model at the smallest sensible size. */
const TINY_VGGT: VggtConfig = parseVggtConfig({
  img_size: 56,
  embed_dim: 32,
  encoder_depth: 2,
  encoder_heads: 2,
  depth: 4,
  num_heads: 2,
  camera_depth: 2,
  camera_heads: 4,
  dpt_features: 16,
  dpt_out_channels: [8, 16, 24, 24],
  dpt_layers: [0, 1, 2, 3],
});

/** Writes a small random checkpoint with every structural feature of VGGT (1.5 MB). Equal for equal seeds. */
export const writeTinyVggt = ({
  folder,
  seed,
}: {
  readonly folder: string;
  readonly seed: number;
}): Promise<void> => writeRandomWeights(folder, TINY_VGGT, seed);

/**
 * Writes config.json and model.safetensors with random float32 weights of any size, a piece of a tensor at a time. Equal
 * for equal seeds. Poses come out near the identity with fields of view near 1 rad, depth near 1, so that labels of any
 * view set are well formed.
 * @param folder made where it does not exist.
 */
export async function writeRandomWeights(
  folder: string,
  config: VggtConfig,
  seed: number,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFileAtomic(
    path.join(folder, 'config.json'),
    `${JSON.stringify(vggtConfigFile(config), null, 2)}\n`,
  );
  const sources = [...vggtTensorShapes(config)].map(
    ([name, shape], index) => [name, randomSource(name, shape, seed, index)] as const,
  );
  await writeSafetensors(path.join(folder, 'model.safetensors'), new Map(sources));
}

/** Values written at a time: 4 MiB. */
const PIECE = 1 << 20;

function randomSource(
  name: string,
  shape: readonly number[],
  seed: number,
  index: number,
): TensorSource {
  const count = shape.reduce((a, b) => a * b, 1);
  const value = distribution(name, shape);
  return {
    dtype: 'F32',
    shape,
    bytes: async function* () {
      // Every tensor has a stream of its own: its values do not depend on the others.
      const random = createRandom(seed * 2 ** 16 + index);
      for (let start = 0; start < count; start += PIECE) {
        const piece = new Float32Array(Math.min(PIECE, count - start));
        for (let i = 0; i < piece.length; i++) piece[i] = value(random, start + i);
        yield new Uint8Array(piece.buffer);
      }
    },
  };
}

/** Four refinements add this to a pose: w of the quaternion and both fields of view grow to 1. */
const POSE_STEP = [0, 0, 0, 0, 0, 0, 0.25, 0.25, 0.25];

/** Outputs that are to stay near their bias. */
const isOutput = (name: string): boolean =>
  name === 'camera_head.pose_branch.fc2.weight' || name.endsWith('output_conv2.2.weight');

/** Value of element i of a tensor: norms near 1, biases near 0, other weights with unit gain. */
function distribution(
  name: string,
  shape: readonly number[],
): (random: Random, i: number) => number {
  if (name === 'camera_head.pose_branch.fc2.bias') return (_, i) => POSE_STEP[i]!;
  if (name.endsWith('.gamma')) return (random) => random.uniform(0.1, 0.3);
  if (shape.length === 1 && name.endsWith('.weight')) return (random) => random.uniform(0.9, 1.1);
  if (name.endsWith('bias')) return (random) => random.uniform(-0.05, 0.05);
  if (!name.endsWith('weight')) return (random) => random.uniform(-0.5, 0.5);
  const inputs = shape.slice(1).reduce((a, b) => a * b, 1);
  const limit = Math.sqrt(3 / inputs) * (isOutput(name) ? 0.02 : 1);
  return (random) => random.uniform(-limit, limit);
}
