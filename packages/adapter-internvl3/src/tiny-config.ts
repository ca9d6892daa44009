/** Configuration files of tiny checkpoints, with the keys of the published ones. */
import {
  alphabetical,
  IMAGENET_STATISTICS,
  type JsonObject,
  pixelStepsConfig,
  type TinyModelOptions,
  type TinyText,
  type TinyTowerOptions,
  tinyDecoderConfig,
  tinyDtype,
  tinyKvHeads,
  tinyTowerConfig,
} from '@spatialsv/core/kit';
import { CELL_SIDE } from './internvl3-config.js';
import { type CheckpointLayout, MODEL_TYPES } from './model-type.js';

/** What can be chosen beside the options that all families share. */
export interface InternVl3TinyOptions extends TinyModelOptions {
  /** `original` by default. */
  readonly layout?: CheckpointLayout;
  /** Logits from the embedding table or from their own matrix, as in every published model. Default false. */
  readonly tieHead?: boolean;
  /** Tiles of a view at most. Default 12. */
  readonly maxTiles?: number;
  readonly vision?: TinyVisionOptions;
  /** Base of the rotary positions, 1000000 (the published one) by default. */
  readonly ropeTheta?: number;
}

export interface TinyVisionOptions extends TinyTowerOptions {
  /** Side of a tile in pixels, a multiple of 28. Default 224, which gives 64 visual tokens. */
  readonly tileSize?: number;
}

const PATCH_SIZE = 14;

const tileSizeOf = ({ vision = {} }: InternVl3TinyOptions): number => vision.tileSize ?? 224;

/** Visual tokens of a tile. */
const tokensPerTile = (options: InternVl3TinyOptions): number =>
  (tileSizeOf(options) / PATCH_SIZE / CELL_SIDE) ** 2;

export function originalConfig(options: InternVl3TinyOptions, text: TinyText): JsonObject {
  return {
    architectures: ['InternVLChatModel'],
    downsample_ratio: 1 / CELL_SIDE,
    dynamic_image_size: true,
    force_image_size: tileSizeOf(options),
    llm_config: {
      architectures: ['Qwen2ForCausalLM'],
      ...decoderConfig(options, text),
      rope_theta: options.ropeTheta ?? 1000000,
      rope_scaling: { factor: 2.0, rope_type: 'dynamic', type: 'dynamic' },
      tie_word_embeddings: options.tieHead ?? false,
    },
    max_dynamic_patch: options.maxTiles ?? 12,
    min_dynamic_patch: 1,
    model_type: MODEL_TYPES.original,
    pad2square: false,
    ps_version: 'v2',
    select_layer: -1,
    template: 'internvl2_5',
    tie_word_embeddings: options.tieHead ?? false,
    torch_dtype: tinyDtype(options),
    use_backbone_lora: 0,
    use_llm_lora: 0,
    use_thumbnail: true,
    vision_config: {
      architectures: ['InternVisionModel'],
      ...towerConfig(options),
      drop_path_rate: 0.1,
      image_size: tileSizeOf(options),
      model_type: 'intern_vit_6b',
      patch_size: PATCH_SIZE,
      qk_normalization: false,
      qkv_bias: true,
    },
  };
}

export function nativeConfig(options: InternVl3TinyOptions, text: TinyText): JsonObject {
  return {
    architectures: ['InternVLForConditionalGeneration'],
    downsample_ratio: 1 / CELL_SIDE,
    image_seq_length: tokensPerTile(options),
    image_token_id: text.ids.get('<IMG_CONTEXT>'),
    model_type: MODEL_TYPES.native,
    projector_hidden_act: 'gelu',
    text_config: {
      ...decoderConfig(options, text),
      rope_scaling: { factor: 2.0, rope_type: 'dynamic' },
      rope_theta: options.ropeTheta ?? 1000000,
      tie_word_embeddings: options.tieHead ?? false,
    },
    tie_word_embeddings: options.tieHead ?? false,
    torch_dtype: tinyDtype(options),
    vision_config: {
      ...towerConfig(options),
      attention_bias: true,
      image_size: [tileSizeOf(options), tileSizeOf(options)],
      layer_scale_init_value: 0.1,
      model_type: 'internvl_vision',
      num_channels: 3,
      patch_size: [PATCH_SIZE, PATCH_SIZE],
      use_absolute_position_embeddings: true,
      use_mask_token: false,
      use_mean_pooling: true,
      use_qk_norm: false,
    },
    vision_feature_layer: -1,
    vision_feature_select_strategy: 'default',
  };
}

function decoderConfig(options: InternVl3TinyOptions, { ids, size }: TinyText): JsonObject {
  const sizes = tinyDecoderConfig(options, size);
  return alphabetical({
    ...sizes,
    ...{ attention_dropout: 0, initializer_range: 0.02, rms_norm_eps: 1e-6 },
    ...{ sliding_window: null, use_cache: true, use_sliding_window: false },
    bos_token_id: ids.get('<|endoftext|>'),
    eos_token_id: ids.get('<|im_end|>'),
    max_position_embeddings: 32768,
    max_window_layers: sizes['num_hidden_layers'],
    model_type: 'qwen2',
    num_key_value_heads: tinyKvHeads(options),
    vocab_size: size,
  });
}

const towerConfig = (options: InternVl3TinyOptions): JsonObject =>
  alphabetical({
    ...tinyTowerConfig(options),
    ...{ attention_dropout: 0, hidden_act: 'gelu', initializer_range: 0.02 },
    ...{ layer_norm_eps: 1e-6, norm_type: 'layer_norm' },
  });

/** The two files of transformers' processor, by name. */
export function nativeProcessorFiles(options: InternVl3TinyOptions): Record<string, JsonObject> {
  const side = tileSizeOf(options);
  const processor = { processor_class: 'InternVLProcessor' };
  const images = pixelStepsConfig(IMAGENET_STATISTICS, {
    crop_to_patches: true,
    image_processor_type: 'GotOcr2ImageProcessorFast',
    max_patches: options.maxTiles ?? 12,
    min_patches: 1,
    ...processor,
    size: { height: side, width: side },
  });
  const chat = { image_seq_length: tokensPerTile(options), ...processor };
  return { 'preprocessor_config.json': images, 'processor_config.json': chat };
}
