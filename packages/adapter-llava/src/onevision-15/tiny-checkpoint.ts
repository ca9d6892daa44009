import {
  type JsonObject,
  refuseSettings,
  type TinyCellOptions,
  type TinyText,
  type TinyTowerOptions,
  tinyDtype,
  tinyKvHeads,
  writeTinyCells,
} from '@spatialsv/core/kit';
import { parseOneVision15Config } from './config.js';
import { MODEL_TYPE } from './model-type.js';

/** What can be chosen beside the options that all families with cells share. */
export interface OneVision15TinyOptions extends TinyCellOptions {
  /** Channels of a head; more than the hidden size over the heads by default, as in the 4B model. */
  readonly headDim?: number;
}

/**
 * Writes a small random LLaVA-OneVision-1.5 checkpoint in the published layout. It has every structural feature of the
 * family: a class token with learnt angles, norms of queries and keys, heads that are wider than their share.
 * @throws SpatialError USAGE for sizes that do not fit together.
 */
export async function writeTinyOneVision15(options: OneVision15TinyOptions): Promise<void> {
  refuseSettings('llava-onevision-1.5', options);
  await writeTinyCells(options, {
    config: (text) => tinyConfig(options, text),
    parse: parseOneVision15Config,
    sizes: 'a vision width that is a multiple of 4 times its heads',
  });
}

/** config.json in the published style. */
function tinyConfig(options: OneVision15TinyOptions, { ids, size }: TinyText): JsonObject {
  const vocabularySize = Math.ceil(size / 8) * 8;
  const dtype = tinyDtype(options);
  return {
    architectures: ['LLaVAOneVision1_5_ForConditionalGeneration'],
    image_token_id: ids.get('<|image_pad|>'),
    model_type: MODEL_TYPE,
    text_config: { ...tinyDecoder(options), torch_dtype: dtype, vocab_size: vocabularySize },
    torch_dtype: dtype,
    video_token_id: ids.get('<|video_pad|>'),
    vision_config: tinyVision(options.vision ?? {}, options.hiddenSize ?? 128),
    vision_end_token_id: ids.get('<|vision_end|>'),
    vision_start_token_id: ids.get('<|vision_start|>'),
    vocab_size: vocabularySize,
  };
}

function tinyDecoder(options: OneVision15TinyOptions): JsonObject {
  const hidden = options.hiddenSize ?? 128;
  const heads = options.heads ?? 4;
  return {
    attention_bias: false,
    attention_dropout: 0,
    head_dim: options.headDim ?? 8 * Math.ceil((1.25 * hidden) / heads / 8),
    hidden_act: 'silu',
    hidden_size: hidden,
    initializer_range: 0.02,
    intermediate_size: options.intermediateSize ?? 3 * hidden,
    max_position_embeddings: 4096,
    model_type: 'LLaVAOneVision1_5_text',
    num_attention_heads: heads,
    num_hidden_layers: options.layers ?? 6,
    num_key_value_heads: tinyKvHeads(options),
    rms_norm_eps: 1e-6,
    rope_scaling: null,
    rope_theta: 5000000,
    sliding_window: null,
    tie_word_embeddings: false,
    use_cache: true,
    use_sliding_window: false,
  };
}

function tinyVision(
  { hiddenSize = 96, ...options }: TinyTowerOptions,
  outputSize: number,
): JsonObject {
  return {
    depth: options.depth ?? 4,
    embed_dim: hiddenSize,
    hidden_act: 'gelu',
    hidden_size: hiddenSize,
    in_channels: 3,
    intermediate_size: options.intermediateSize ?? 2 * hiddenSize,
    layer_norm_eps: 1e-5,
    model_type: 'rice_vit',
    num_heads: options.heads ?? 4,
    patch_size: 14,
    spatial_merge_size: 2,
    temporal_patch_size: 1,
    text_hidden_size: outputSize,
  };
}
