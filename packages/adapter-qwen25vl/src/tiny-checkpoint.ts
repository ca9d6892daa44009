import {
  float32Source,
  type JsonObject,
  QWEN_TOKENS,
  TINY_CHAT_TEMPLATE,
  type TinyText,
  tinyCellWeights,
  tinyText,
  writeCheckpointFolder,
} from '@spatialsv/core/kit';
import { SpatialError, type TinyCheckpointOptions } from '@spatialsv/core/spec';
import { MODEL_TYPE } from './model-type.js';
import { parseQwen25VlConfig, qwen25VlShapes } from './qwen25vl-config.js';

/** What can be chosen beside the options that all families share. */
export interface Qwen25VlTinyOptions extends TinyCheckpointOptions {
  readonly kvHeads?: number;
  readonly intermediateSize?: number;
  /** Logits from the embedding table (as the 3B model) or from their own matrix (as the 7B model). Default true. */
  readonly tieHead?: boolean;
  readonly storedAs?: 'F32' | 'BF16';
  /** Upper bound on learnt tokens. Default 1500. */
  readonly maxMerges?: number;
  /** Pixel limits of preprocessor_config.json. Default 784 and 50176 (64 visual tokens). */
  readonly minPixels?: number;
  readonly maxPixels?: number;
  readonly vision?: TinyVisionOptions;
  /**
   * Base of the rotary positions, 1000000 (the published one) by default. Rows and columns of an image turn by the lowest
   * frequencies only: with the published base, the few cells of a small image all stand at nearly the same angle.
   */
  readonly ropeTheta?: number;
  /** Size of the projector's output weights, 0.2 by default; 1 lets a model that is trained from scratch see sooner. */
  readonly projectorGain?: number;
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
  const { folder } = options;
  const { maxMerges } = options;
  const text = await tinyText(options, { special: QWEN_TOKENS, config: TOKENIZER, maxMerges });
  const config = tinyConfig(options, text);
  await writeCheckpointFolder(folder, {
    files: {
      'config.json': config,
      'generation_config.json': generationConfig(text.ids),
      'preprocessor_config.json': preprocessorConfig(options),
      ...text.files,
    },
    texts: { 'chat_template.jinja': TINY_CHAT_TEMPLATE },
    weights: tinyTensors(config, options),
  });
}

/** What is this family's in tokenizer_config.json. */
const TOKENIZER = {
  eos_token: '<|im_end|>',
  pad_token: '<|endoftext|>',
  processor_class: 'Qwen2_5_VLProcessor',
  tokenizer_class: 'Qwen2Tokenizer',
};

function tinyTensors(config: JsonObject, options: Qwen25VlTinyOptions) {
  const parsed = parseTinyConfig(config);
  const shapes = qwen25VlShapes(parsed);
  const values = tinyCellWeights(parsed, options.seed, options.projectorGain);
  return new Map(
    [...values].map(([name, data]) => [
      name,
      float32Source(data, shapes[name]!, options.storedAs ?? 'F32'),
    ]),
  );
}

/** Sizes come from the caller here, so a misfit is wrong usage rather than a damaged file. */
function parseTinyConfig(config: JsonObject) {
  try {
    return parseQwen25VlConfig(config, 'tiny checkpoint');
  } catch (cause) {
    if (!SpatialError.isInstance(cause)) throw cause;
    throw new SpatialError({
      code: 'USAGE',
      message: cause.message,
      hint: 'Choose a hidden size that is a multiple of 8 times the heads, and heads that are a multiple of the kv heads.',
      cause,
    });
  }
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

function generationConfig(ids: ReadonlyMap<string, number>): JsonObject {
  return {
    bos_token_id: ids.get('<|endoftext|>'),
    do_sample: false,
    eos_token_id: [ids.get('<|im_end|>'), ids.get('<|endoftext|>')],
    pad_token_id: ids.get('<|endoftext|>'),
  };
}

function preprocessorConfig(options: Qwen25VlTinyOptions): JsonObject {
  return {
    do_convert_rgb: true,
    do_normalize: true,
    do_rescale: true,
    do_resize: true,
    image_mean: [0.48145466, 0.4578275, 0.40821073],
    image_processor_type: 'Qwen2VLImageProcessor',
    image_std: [0.26862954, 0.26130258, 0.27577711],
    max_pixels: options.maxPixels ?? 50176,
    merge_size: 2,
    min_pixels: options.minPixels ?? 784,
    patch_size: 14,
    processor_class: 'Qwen2_5_VLProcessor',
    resample: 3,
    rescale_factor: 1 / 255,
    temporal_patch_size: 2,
  };
}
