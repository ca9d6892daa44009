/**
 * The decoder of a checkpoint by its config.json. A key that is not there has the default of the family's configuration
 * class in transformers 5.18 (models/llama, models/qwen2, models/qwen3, modeling_rope_utils.py).
 */
import type { DecoderConfig, RopeConfig } from '../nn/index.js';
import { type ConfigFields, invalidField } from './config-fields.js';

export type DecoderFamily = 'llama' | 'qwen2' | 'qwen3';

interface DecoderDefaults {
  readonly vocabularySize: number;
  readonly intermediateSize: number;
  /** Key and value heads; as many as heads where absent. */
  readonly kvHeads?: number;
  /** Hidden size over heads where absent. */
  readonly headDim?: number;
  readonly maxPositions: number;
  readonly qkvBias: boolean;
  readonly qkNorm: boolean;
}

const HIDDEN_SIZE = 4096;
const LAYERS = 32;
const HEADS = 32;
const RMS_NORM_EPS = 1e-6;
const ROPE_THETA = 10000;

const QWEN = {
  vocabularySize: 151936,
  intermediateSize: 22016,
  kvHeads: 32,
  maxPositions: 32768,
};

const DEFAULTS: Readonly<Record<DecoderFamily, DecoderDefaults>> = {
  llama: {
    vocabularySize: 32000,
    intermediateSize: 11008,
    maxPositions: 2048,
    qkvBias: false,
    qkNorm: false,
  },
  qwen2: { ...QWEN, qkvBias: true, qkNorm: false },
  qwen3: { ...QWEN, headDim: 128, qkvBias: false, qkNorm: true },
};

/**
 * @param fields object that holds the decoder's fields: config.json itself, or its `text_config`.
 * @param tieHead whether the output matrix is the embedding table, where another object says so.
 * @throws SpatialError CONFIG_INVALID for an ill-typed field, sizes that do not fit together, and a structure that the
 *   family's decoders do not have (biases, another activation, sliding windows, other rotary scalings).
 */
export function readDecoderConfig(
  fields: ConfigFields,
  family: DecoderFamily,
  tieHead = fields.boolean('tie_word_embeddings', false),
): DecoderConfig {
  const defaults = DEFAULTS[family];
  refuseStructure(fields, family);
  const hiddenSize = fields.positive('hidden_size', HIDDEN_SIZE);
  const heads = fields.positive('num_attention_heads', HEADS);
  const kvHeads = readKvHeads(fields, heads, defaults.kvHeads);
  const headDim = fields.positive('head_dim', defaults.headDim ?? hiddenSize / heads);
  if (!Number.isInteger(headDim) || headDim % 2 !== 0)
    throw invalidField(`${fields.where}.head_dim`, 'an even whole number', headDim);
  return {
    hiddenSize,
    heads,
    kvHeads,
    headDim,
    layers: fields.positive('num_hidden_layers', LAYERS),
    intermediateSize: fields.positive('intermediate_size', defaults.intermediateSize),
    vocabularySize: fields.positive('vocab_size', defaults.vocabularySize),
    rmsNormEps: fields.positive('rms_norm_eps', RMS_NORM_EPS),
    qkvBias: defaults.qkvBias,
    qkNorm: defaults.qkNorm,
    tieHead,
    rope: readRopeConfig(fields, defaults.maxPositions),
  };
}

/** A null counts as the number of heads, an absent key as the default of the class. */
function readKvHeads(fields: ConfigFields, heads: number, fallback = heads): number {
  const isNull = fields.object['num_key_value_heads'] === null;
  const kvHeads = fields.positive('num_key_value_heads', isNull ? heads : fallback);
  fields.multiple('num_attention_heads', heads, kvHeads);
  return kvHeads;
}

function refuseStructure(fields: ConfigFields, family: DecoderFamily): void {
  fields.require('hidden_act', ['silu']);
  if (family === 'llama') fields.require('mlp_bias', [false]);
  if (family !== 'qwen2') fields.require('attention_bias', [false]);
  if (family !== 'llama') fields.require('use_sliding_window', [false]);
  const layerTypes: unknown = fields.object['layer_types'] ?? [];
  if (Array.isArray(layerTypes) && layerTypes.every((type) => type === 'full_attention')) return;
  throw invalidField(`${fields.where}.layer_types`, 'full_attention in every layer', layerTypes);
}

/**
 * Rotary positions by `rope_scaling` (4.x, and what wins where both are there) or `rope_parameters` (5.x), with either of
 * the keys `rope_type` and `type`.
 * @param maxPositions default of `max_position_embeddings`.
 * @throws SpatialError CONFIG_INVALID for another scaling than none, linear and dynamic.
 */
export function readRopeConfig(fields: ConfigFields, maxPositions: number): RopeConfig {
  const scaling = fields.child('rope_scaling');
  const isEmpty = scaling === undefined || Object.keys(scaling.object).length === 0;
  const rope = isEmpty ? fields.child('rope_parameters') : scaling;
  const outer = fields.positive('rope_theta', ROPE_THETA);
  const theta = rope?.positive('rope_theta', outer) ?? outer;
  const kind = rope?.object['rope_type'] ?? rope?.object['type'] ?? 'default';
  if (rope === undefined || kind === 'default') return { theta };
  rope.require('partial_rotary_factor', [1]);
  const factor = rope.positive('factor');
  if (kind === 'linear') return { theta, scaling: { kind, factor } };
  if (kind === 'dynamic') {
    const max = fields.positive('max_position_embeddings', maxPositions);
    return { theta, scaling: { kind, factor, maxPositions: max } };
  }
  const key = rope.has('rope_type') ? 'rope_type' : 'type';
  throw invalidField(`${rope.where}.${key}`, '"default", "linear" or "dynamic"', kind);
}
