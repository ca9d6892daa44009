import {
  type CellModel,
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

export type Qwen25VlConfig = CellModel;

/**
 * Reads config.json in its published (flat), nested (`text_config`, transformers 4.52–4.57) and 5.x
 * (`rope_parameters`) shapes. A key that is not there has the default of the configuration classes of transformers 5.18
 * (models/qwen2_5_vl/configuration_qwen2_5_vl.py), which are the sizes of the 72B model.
 * @param where path of the file, for messages.
 * @throws SpatialError CONFIG_INVALID for a missing or ill-typed field, and for a structure that is not Qwen2.5-VL's.
 */
export function parseQwen25VlConfig(config: JsonObject, where = 'config.json'): Qwen25VlConfig {
  const root = configFields(config, where);
  root.require('model_type', [MODEL_TYPE]);
  const text = root.child('text_config') ?? root;
  const visionFields = root.section('vision_config');
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
  refuseSlidingLayers(text);
  const hiddenSize = text.positive('hidden_size', 8192);
  const heads = text.positive('num_attention_heads', 64);
  const kvHeads = readKvHeads(text, heads);
  text.multiple('hidden_size', hiddenSize, heads);
  const headDim = requireEvenInteger(text, 'hidden_size / num_attention_heads', hiddenSize / heads);
  text.require('head_dim', [headDim]);
  return {
    hiddenSize,
    heads,
    kvHeads,
    headDim,
    layers: text.positive('num_hidden_layers', 80),
    intermediateSize: text.positive('intermediate_size', 29568),
    vocabularySize: text.positive('vocab_size', 152064),
    rmsNormEps: text.positive('rms_norm_eps', 1e-5),
    qkvBias: true,
    qkNorm: false,
    // Releases before 5 wrote it into text_config; either place ties.
    tieHead:
      root.boolean('tie_word_embeddings', false) || text.boolean('tie_word_embeddings', false),
    rope: parseRope(text, headDim),
  };
}

function refuseSlidingLayers(text: ConfigFields): void {
  const types: unknown = text.object['layer_types'] ?? [];
  if (Array.isArray(types) && types.every((type) => type === 'full_attention')) return;
  throw invalidField(`${text.where}.layer_types`, 'full_attention in every layer', types);
}

/** A null counts as the number of heads, an absent key as the default of the class. */
function readKvHeads(text: ConfigFields, heads: number): number {
  const isNull = text.object['num_key_value_heads'] === null;
  const kvHeads = text.positive('num_key_value_heads', isNull ? heads : 8);
  text.multiple('num_attention_heads', heads, kvHeads);
  return kvHeads;
}

/** `rope_scaling` (4.x) wins over `rope_parameters` (5.x) where both are there and it is not empty. */
function parseRope(text: ConfigFields, headDim: number): RopeConfig {
  const scaling = text.child('rope_scaling');
  const isEmpty = scaling === undefined || Object.keys(scaling.object).length === 0;
  const found = isEmpty ? text.child('rope_parameters') : scaling;
  const fields = found ?? configFields({}, `${text.where}.rope_scaling`);
  fields.require('rope_type', ['default', 'mrope']);
  fields.require('type', ['mrope', 'default']);
  const theta = fields.has('rope_theta')
    ? fields.positive('rope_theta')
    : text.positive('rope_theta', 1e6);
  const sections = fields.integers('mrope_section', [16, 24, 24]);
  const covered = sections.reduce((sum, size) => sum + size, 0);
  if (sections.length === 3 && covered === headDim / 2) return { theta, sections };
  const expected = `3 numbers with the sum ${headDim / 2} (half the head dimension)`;
  throw invalidField(`${fields.where}.mrope_section`, expected, sections);
}

function parseVision(fields: ConfigFields): CellVision {
  fields.require('hidden_act', ['silu']);
  fields.child('rope_parameters')?.require('rope_theta', [10000]);
  const mergeSize = fields.positive('spatial_merge_size', 2);
  const outputSize = fields.positive('out_hidden_size', 3584);
  return {
    tower: parseTower(fields, mergeSize),
    names: NAMES,
    mergerNorm: NORM,
    mergeSize,
    outputSize,
  };
}

function parseTower(fields: ConfigFields, mergeSize: number): VisionTowerConfig {
  const width = fields.positive('hidden_size', 3584);
  const heads = fields.positive('num_heads', fields.positive('num_attention_heads', 16));
  const depth = fields.positive('depth', 32);
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
    mlp: { hidden: fields.positive('intermediate_size', 3420), activation: 'silu', gated: true },
    patch: {
      size: patchSize,
      channels: fields.positive('in_channels', 3),
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

/** Indices beyond the depth name nothing, as in the reference. */
const parseWholeBlocks = (fields: ConfigFields, depth: number): readonly number[] =>
  fields.integers('fullatt_block_indexes', [7, 15, 23, 31]).filter((block) => block < depth);

function requireEvenInteger(fields: ConfigFields, key: string, value: number): number {
  if (Number.isInteger(value) && value % 2 === 0) return value;
  throw invalidField(`${fields.where}.${key}`, 'an even whole number', value);
}

/** Every tensor of a checkpoint with its shape, by published name. Linear weights are (out, in). */
export const qwen25VlShapes = ({ vision, decoder }: Qwen25VlConfig): Shapes =>
  cellShapes(vision, decoder);
