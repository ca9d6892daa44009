import {
  type CellModel,
  type CellVision,
  type ConfigFields,
  configFields,
  DINO_NAMES,
  invalidField,
  type JsonObject,
  type NormConfig,
  readCellTokens,
  readDecoderConfig,
  type VisionTowerConfig,
  type VisionTowerNames,
} from '@spatialsv/core/kit';
import { MODEL_TYPE } from './model-type.js';

/** Defaults of the published text configuration class: the sizes of the 4B model. */
const TEXT_DEFAULTS: JsonObject = {
  vocab_size: 151936,
  hidden_size: 2560,
  intermediate_size: 9728,
  num_hidden_layers: 36,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  head_dim: 128,
  max_position_embeddings: 262144,
  rms_norm_eps: 1e-6,
  rope_theta: 5000000,
};

/** Of the blocks, whatever the configuration says: the published class has it written out. */
const BLOCK_NORM: NormConfig = { kind: 'layer', epsilon: 1e-5 };

const NAMES: VisionTowerNames = {
  ...DINO_NAMES,
  classToken: { name: 'class_embedding', rank: 1 },
  classAngles: { name: 'class_pos_emb', rank: 2 },
  preNorm: 'pre_layernorm',
};

/**
 * Reads config.json: decoder fields in `text_config` or at the top. A key that is not there has the default of the
 * published configuration class.
 * @param where path of the file, for messages.
 * @throws SpatialError CONFIG_INVALID for an ill-typed field and for a structure that is not LLaVA-OneVision-1.5's.
 */
export function parseOneVision15Config(config: JsonObject, where = 'config.json'): CellModel {
  const root = configFields(config, where);
  root.require('model_type', [MODEL_TYPE]);
  const text = root.child('text_config') ?? root;
  const decoder = readDecoderConfig(
    configFields({ ...TEXT_DEFAULTS, ...text.object }, text.where),
    'qwen3',
  );
  const fields = root.section('vision_config');
  const vision = parseVision(fields);
  if (vision.outputSize !== decoder.hiddenSize) {
    const expected = `the decoder's hidden_size ${decoder.hiddenSize}`;
    throw invalidField(`${fields.where}.text_hidden_size`, expected, vision.outputSize);
  }
  return { decoder, vision, ...readCellTokens(root) };
}

function parseVision(fields: ConfigFields): CellVision {
  const norm: NormConfig = { kind: 'layer', epsilon: fields.positive('layer_norm_eps', 1e-5) };
  const mergeSize = fields.positive('spatial_merge_size', 2);
  return {
    tower: parseTower(fields, mergeSize, norm),
    names: NAMES,
    mergerNorm: norm,
    mergeSize,
    outputSize: fields.positive('text_hidden_size', 2560),
  };
}

function parseTower(
  fields: ConfigFields,
  mergeSize: number,
  preNorm: NormConfig,
): VisionTowerConfig {
  fields.require('hidden_act', ['gelu']);
  fields.require('temporal_patch_size', [1]);
  const width = fields.positive('hidden_size', 1024);
  const heads = fields.positive('num_heads', 16);
  fields.multiple('hidden_size', width, 4 * heads);
  return {
    width,
    heads,
    depth: fields.positive('depth', 24),
    norm: BLOCK_NORM,
    qkvBias: true,
    layerScale: false,
    mlp: { hidden: fields.positive('intermediate_size', 4096), activation: 'gelu', gated: false },
    patch: {
      size: fields.positive('patch_size', 14),
      channels: fields.positive('in_channels', 3),
      bias: false,
    },
    cellSide: mergeSize,
    classToken: { angles: true },
    rotary: { base: 10000, form: 'head' },
    preNorm,
  };
}
