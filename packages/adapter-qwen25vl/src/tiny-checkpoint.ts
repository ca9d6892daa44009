import {
  type JsonObject,
  refuseSettings,
  type TinyCellOptions,
  type TinyText,
  writeTinyCells,
} from '@spatialsv/core/kit';
import { MODEL_TYPE } from './model-type.js';
import { parseQwen25VlConfig } from './qwen25vl-config.js';

/** What can be chosen beside the options that all families share. */
export interface Qwen25VlTinyOptions extends TinyCellOptions {
  /** Logits from the embedding table (as the 3B model) or from their own matrix (as the 7B model). Default true. */
  readonly tieHead?: boolean;
  readonly vision?: TinyVisionOptions;
  /**
   * Base of the rotary positions, 1000000 (the published one) by default. Rows and columns of an image turn by the lowest
   * frequencies only: with the published base, the few cells of a small image all stand at nearly the same angle.
   */
  readonly ropeTheta?: number;
}

export interface TinyVisionOptions {
  readonly depth?: number;
  readonly hiddenSize?: number;
  readonly intermediateSize?: number;
  readonly heads?: number;
  /** Side of an attention window in pixels. */
  readonly windowSize?: number;
  readonly fullAttentionBlocks?: readonly number[];
}

/**
 * Writes a small random Qwen2.5-VL checkpoint in the published layout: config.json, model.safetensors, tokenizer,
 * chat template, image processor and generation settings. It has every structural feature of the family: window and
 * full attention, grouped keys and values, sectioned rotary positions.
 * @throws SpatialError USAGE for sizes that do not fit together.
 */
export async function writeTinyQwen25Vl(options: Qwen25VlTinyOptions): Promise<void> {
  refuseSettings('qwen2.5-vl', options);
  await writeTinyCells(options, {
    config: (text) => tinyConfig(options, text),
    parse: parseQwen25VlConfig,
    sizes: 'a hidden size that is a multiple of 8 times the heads',
  });
}

/** config.json in the published flat style. */
function tinyConfig(options: Qwen25VlTinyOptions, { ids, size }: TinyText): JsonObject {
  const hidden = options.hiddenSize ?? 128;
  const layers = options.layers ?? 6;
  const heads = options.heads ?? 4;
  return {
    architectures: ['Qwen2_5_VLForConditionalGeneration'],
    attention_dropout: 0,
    bos_token_id: ids.get('<|endoftext|>'),
    eos_token_id: ids.get('<|im_end|>'),
    pad_token_id: ids.get('<|endoftext|>'),
    vision_start_token_id: ids.get('<|vision_start|>'),
    vision_end_token_id: ids.get('<|vision_end|>'),
    vision_token_id: ids.get('<|vision_pad|>'),
    image_token_id: ids.get('<|image_pad|>'),
    video_token_id: ids.get('<|video_pad|>'),
    hidden_act: 'silu',
    hidden_size: hidden,
    initializer_range: 0.02,
    intermediate_size: options.intermediateSize ?? 3 * hidden,
    max_position_embeddings: 4096,
    max_window_layers: layers,
    model_type: MODEL_TYPE,
    num_attention_heads: heads,
    num_hidden_layers: layers,
    num_key_value_heads: options.kvHeads ?? Math.max(1, Math.floor(heads / 2)),
    rms_norm_eps: 1e-6,
    rope_theta: options.ropeTheta ?? 1000000,
    rope_scaling: { type: 'mrope', mrope_section: tinySections(hidden / heads) },
    sliding_window: 4096,
    tie_word_embeddings: options.tieHead ?? true,
    torch_dtype: options.storedAs === 'BF16' ? 'bfloat16' : 'float32',
    use_cache: true,
    use_sliding_window: false,
    vision_config: tinyVision(options.vision ?? {}, hidden),
    vocab_size: Math.ceil(size / 8) * 8,
  };
}

/** Frequencies for time, row and column in the published proportion 2 : 3 : 3. */
function tinySections(headDim: number): readonly number[] {
  const half = headDim / 2;
  const side = Math.floor((3 * half) / 8);
  return [half - 2 * side, side, side];
}

function tinyVision(options: TinyVisionOptions, outputSize: number): JsonObject {
  const depth = options.depth ?? 4;
  const hidden = options.hiddenSize ?? 96;
  return {
    depth,
    hidden_act: 'silu',
    hidden_size: hidden,
    in_chans: 3,
    intermediate_size: options.intermediateSize ?? 2 * hidden,
    num_heads: options.heads ?? 4,
    out_hidden_size: outputSize,
    patch_size: 14,
    spatial_merge_size: 2,
    spatial_patch_size: 14,
    temporal_patch_size: 2,
    tokens_per_second: 2,
    window_size: options.windowSize ?? 84,
    fullatt_block_indexes: options.fullAttentionBlocks ?? [Math.floor((depth - 1) / 2), depth - 1],
  };
}
