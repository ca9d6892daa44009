import {
  type RandomValues,
  randomTensors,
  unitGain,
  writeCheckpointFolder,
} from '@spatialsv/core/kit';
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
export const writeRandomWeights = (
  folder: string,
  config: VggtConfig,
  seed: number,
): Promise<void> =>
  writeCheckpointFolder(folder, {
    files: { 'config.json': vggtConfigFile(config) },
    weights: randomTensors(vggtTensorShapes(config), seed, valuesOf),
  });

/** Four refinements add this to a pose: w of the quaternion and both fields of view grow to 1. */
const POSE_STEP = [0, 0, 0, 0, 0, 0, 0.25, 0.25, 0.25];

/** Outputs that are to stay near their bias. */
const isOutput = (name: string): boolean =>
  name === 'camera_head.pose_branch.fc2.weight' || name.endsWith('output_conv2.2.weight');

const valuesOf = (name: string, shape: readonly number[]): RandomValues =>
  name === 'camera_head.pose_branch.fc2.bias'
    ? Float32Array.from(POSE_STEP)
    : unitGain(name, shape, isOutput(name) ? 0.02 : 1);
