/**
 * Vision towers with learnt positions, by the `vision_config` of transformers' classes: a key that is not there has the
 * default of the class in 5.18 (models/clip, models/siglip).
 */
import {
  type Activation,
  type ConfigFields,
  invalidField,
  type VisionTowerConfig,
} from '@spatialsv/core/kit';

/** A tower for images of one size. */
export interface FixedTower {
  /** `depth` is that of the blocks that run. */
  readonly tower: VisionTowerConfig;
  /** Blocks of the checkpoint. */
  readonly storedDepth: number;
  /** Side of its images in pixels. */
  readonly imageSize: number;
  /** Patches along one side. */
  readonly side: number;
}

interface TowerClass {
  readonly modelType: string;
  readonly imageSize: number;
  readonly patchSize: number;
  readonly activation: readonly [name: string, kind: Activation];
  readonly epsilon: number;
  readonly patchBias: boolean;
  /** A class token, and a norm before the first block. */
  readonly classToken: boolean;
}

const CLIP: TowerClass = {
  modelType: 'clip_vision_model',
  imageSize: 224,
  patchSize: 32,
  activation: ['quick_gelu', 'quick-gelu'],
  epsilon: 1e-5,
  patchBias: false,
  classToken: true,
};

const SIGLIP: TowerClass = {
  modelType: 'siglip_vision_model',
  imageSize: 224,
  patchSize: 16,
  activation: ['gelu_pytorch_tanh', 'gelu-tanh'],
  epsilon: 1e-6,
  patchBias: true,
  classToken: false,
};

/**
 * @param fields the `vision_config`.
 * @param runDepth blocks to run of the stored ones.
 * @throws SpatialError CONFIG_INVALID.
 */
export const readClipTower = (
  fields: ConfigFields,
  runDepth: (storedDepth: number) => number,
): FixedTower => readTower(fields, CLIP, runDepth);

/** As {@link readClipTower}. */
export const readSiglipTower = (
  fields: ConfigFields,
  runDepth: (storedDepth: number) => number,
): FixedTower => readTower(fields, SIGLIP, runDepth);

function readTower(
  fields: ConfigFields,
  kind: TowerClass,
  runDepth: (storedDepth: number) => number,
): FixedTower {
  fields.require('model_type', [kind.modelType]);
  fields.require('hidden_act', [kind.activation[0]]);
  const storedDepth = fields.positive('num_hidden_layers', 12);
  const imageSize = fields.positive('image_size', kind.imageSize);
  const patchSize = fields.positive('patch_size', kind.patchSize);
  const side = Math.floor(imageSize / patchSize);
  const epsilon = fields.positive('layer_norm_eps', kind.epsilon);
  const width = fields.positive('hidden_size', 768);
  const heads = fields.positive('num_attention_heads', 12);
  fields.multiple('hidden_size', width, heads);
  const hidden = fields.positive('intermediate_size', 3072);
  const norm = { kind: 'layer', epsilon } as const;
  const tower: VisionTowerConfig = {
    width,
    heads,
    norm,
    depth: runDepth(storedDepth),
    qkvBias: true,
    layerScale: false,
    mlp: { hidden, activation: kind.activation[1], gated: false },
    patch: { size: patchSize, channels: readChannels(fields), bias: kind.patchBias },
    // Images have the size of the table, so that nothing is resampled.
    positions: { side, resampling: { kind: 'offset', offset: 0 } },
    ...(kind.classToken && { classToken: { angles: false }, preNorm: norm }),
  };
  return { tower, storedDepth, imageSize, side };
}

function readChannels(fields: ConfigFields): number {
  fields.require('num_channels', [3]);
  return 3;
}

/**
 * Number of blocks that run, by the state that is taken: 0 is what enters the first block, k follows k blocks, −1 the last
 * block, −2 the one before it.
 * @param key of a whole number.
 * @throws SpatialError CONFIG_INVALID, also for a list of states.
 */
export function runDepthOf(
  fields: ConfigFields,
  key: string,
  fallback: number,
): (storedDepth: number) => number {
  const state = fields.object[key] ?? fallback;
  return (storedDepth) => {
    const blocks = Number(state) < 0 ? storedDepth + 1 + Number(state) : Number(state);
    if (Number.isInteger(state) && blocks >= 1 && blocks <= storedDepth) return blocks;
    const expected = `one state from −${storedDepth} to ${storedDepth}`;
    throw invalidField(`${fields.where}.${key}`, expected, state);
  };
}

/** Tensors below a tower's scope that a checkpoint may hold and that never run: late blocks, last norm, pooling head. */
export function isIdle({ tower, storedDepth }: FixedTower, name: string): boolean {
  const block = /^encoder\.layers\.(\d+)\./.exec(name)?.[1];
  if (block === undefined) return /^(post_layernorm|head)\./.test(name);
  return Number(block) >= tower.depth && Number(block) < storedDepth;
}
