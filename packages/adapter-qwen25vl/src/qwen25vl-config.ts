import {
  type CellTokens,
  type CellVision,
  type ConfigFields,
  cellShapes,
  configFields,
  type DecoderConfig,
  DINO_NAMES,
  invalidField,
  type JsonObject,
  type NormConfig,
  type RopeConfig,
  readCellTokens,
  type Shapes,
  type VisionTowerConfig,
  type VisionTowerNames,
} from '@spatialsv/core/kit';
import { MODEL_TYPE } from './model-type.js';

/** Norm of blocks and merger in every checkpoint of the family. */
const NORM: NormConfig = { kind: 'rms', epsilon: 1e-6 };

const NAMES: VisionTowerNames = {
  ...DINO_NAMES,
  block: {
    ...DINO_NAMES.block,
    mlp: { gate: 'mlp.gate_proj', up: 'mlp.up_proj', down: 'mlp.down_proj' },
  },
};

export interface Qwen25VlConfig extends CellTokens {
  readonly decoder: DecoderConfig;
  readonly vision: CellVision;
}

/**
 * Reads config.json in its published (flat), nested (`text_config`, transformers 4.52–4.57) and 5.x
 * (`rope_parameters`) shapes.
 * @param where path of the file, for messages.
 * @throws SpatialError CONFIG_INVALID for a missing or ill-typed field, and for a structure that is not Qwen2.5-VL's.
 */
export function parseQwen25VlConfig(config: JsonObject, where = 'config.json'): Qwen25VlConfig {
  const root = configFields(config, where);
  root.require('model_type', [MODEL_TYPE]);
  const text = root.child('text_config') ?? root;
  const visionFields = root.child('vision_config');
  if (visionFields === undefined)
    throw invalidField(`${where}.vision_config`, 'an object', undefined);
  const vision = parseVision(visionFields);
  const decoder = parseDecoder(root, text);
  if (vision.outputSize !== decoder.hiddenSize) {
    const place = `${visionFields.where}.out_hidden_size`;
    throw invalidField(place, `the decoder's hidden_size ${decoder.hiddenSize}`, vision.outputSize);
  }
  return { decoder, vision, ...readCellTokens(root) };
}

function parseDecoder(root: ConfigFields, text: ConfigFields): DecoderConfig {
  text.require('hidden_act', ['silu']);
  text.require('use_sliding_window', [false]);
  const hiddenSize = text.positive('hidden_size');
  const heads = text.positive('num_attention_heads');
  const kvHeads = text.positive('num_key_value_heads', heads);
  const headDim = text.positive('head_dim', hiddenSize / heads);
  text.multiple('num_attention_heads', heads, kvHeads);
  return {
    hiddenSize,
    heads,
    kvHeads,
    headDim: requireEvenInteger(text, 'head_dim', headDim),
    layers: text.positive('num_hidden_layers'),
    intermediateSize: text.positive('intermediate_size'),
    vocabularySize: text.positive('vocab_size'),
    rmsNormEps: text.positive('rms_norm_eps', 1e-6),
    qkvBias: true,
    qkNorm: false,
    tieHead: root.boolean('tie_word_embeddings', text.boolean('tie_word_embeddings', false)),
    rope: parseRope(text, headDim),
  };
}

function parseRope(text: ConfigFields, headDim: number): RopeConfig {
  const fields = text.child('rope_parameters') ?? text.child('rope_scaling');
  if (fields === undefined) {
    throw invalidField(`${text.where}.rope_scaling`, 'an object with mrope_section', undefined);
  }
  fields.require('rope_type', ['default', 'mrope']);
  fields.require('type', ['mrope', 'default']);
  const theta = fields.has('rope_theta')
    ? fields.positive('rope_theta')
    : text.positive('rope_theta', 1e6);
  const sections = fields.integers('mrope_section');
  const covered = sections.reduce((sum, size) => sum + size, 0);
  if (sections.length === 3 && covered === headDim / 2) return { theta, sections };
  const expected = `3 numbers with the sum ${headDim / 2} (half the head dimension)`;
  throw invalidField(`${fields.where}.mrope_section`, expected, sections);
}

function parseVision(fields: ConfigFields): CellVision {
  fields.require('hidden_act', ['silu']);
  fields.child('rope_parameters')?.require('rope_theta', [10000]);
  const mergeSize = fields.positive('spatial_merge_size', 2);
  const outputSize = fields.positive('out_hidden_size');
  return {
    tower: parseTower(fields, mergeSize),
    names: NAMES,
    mergerNorm: NORM,
    mergeSize,
    outputSize,
  };
}

function parseTower(fields: ConfigFields, mergeSize: number): VisionTowerConfig {
  const width = fields.positive('hidden_size');
  const heads = fields.positive('num_heads');
  const depth = fields.positive('depth');
  const patchSize = fields.positive('patch_size', 14);
  const windowSize = fields.positive('window_size', 112);
  fields.multiple('window_size', windowSize, patchSize * mergeSize);
  fields.multiple('hidden_size', width, 4 * heads);
  return {
    width,
    heads,
    depth,
    norm: NORM,
    qkvBias: true,
    layerScale: false,
    mlp: { hidden: fields.positive('intermediate_size'), activation: 'silu', gated: true },
    patch: {
      size: patchSize,
      channels: fields.positive('in_channels', fields.positive('in_chans', 3)),
      frames: fields.positive('temporal_patch_size', 2),
      bias: false,
    },
    cellSide: mergeSize,
    rotary: { base: 10000, form: 'head' },
    windows: {
      side: windowSize / (patchSize * mergeSize),
      wholeBlocks: parseWholeBlocks(fields, depth),
    },
  };
}

function parseWholeBlocks(fields: ConfigFields, depth: number): readonly number[] {
  const blocks = fields.integers('fullatt_block_indexes');
  if (blocks.every((block) => block < depth)) return blocks;
  throw invalidField(`${fields.where}.fullatt_block_indexes`, `indices below ${depth}`, blocks);
}

function requireEvenInteger(fields: ConfigFields, key: string, value: number): number {
  if (Number.isInteger(value) && value % 2 === 0) return value;
  throw invalidField(`${fields.where}.${key}`, 'an even whole number', value);
}

/** Every tensor of a checkpoint with its shape, by published name. Linear weights are (out, in). */
export const qwen25VlShapes = ({ vision, decoder }: Qwen25VlConfig): Shapes =>
  cellShapes(vision, decoder);
