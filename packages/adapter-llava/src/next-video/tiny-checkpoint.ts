import {
  CLIP_STATISTICS,
  type JsonObject,
  pixelStepsConfig,
  refuseSettings,
  type Shapes,
  tinyDecoderConfig,
  tinyDtype,
  tinyText,
  writeCheckpointFolder,
} from '@spatialsv/core/kit';
import { storedShapesOf, tinyWeightsOf } from '../shared/model-names.js';
import { NATIVE_NAMES } from '../shared/native-names.js';
import { fixedTowerConfig, type NextVideoTinyOptions, parseTiny } from '../shared/tiny-tower.js';
import { type NextVideoConfig, parseNextVideoConfig } from './config.js';
import { ADAPTER_ID, MODEL_TYPE } from './model-type.js';
import { TINY_CHAT_TEMPLATE } from './tiny-template.js';

/** Side of a frame: 8 × 8 patches, 4 × 4 visual tokens. */
const IMAGE_SIZE = 112;

/**
 * Writes a small random LLaVA-NeXT-Video checkpoint in the published layout: config.json, model.safetensors, tokenizer, chat
 * template, processors and generation settings. It has every structural feature of the family: a class token, a block of
 * the tower that never runs, pooled frames, linearly scaled rotary positions, the newline of still images.
 * @throws SpatialError USAGE for sizes that do not fit together.
 */
export async function writeTinyNextVideo(options: NextVideoTinyOptions): Promise<void> {
  const { maxMerges } = options;
  refuseSettings(ADAPTER_ID, options);
  const text = await tinyText(options, {
    kind: 'llama',
    special: ['<video>', '<image>'],
    config: TOKENIZER,
    maxMerges,
  });
  const config = tinyConfig(options, text.ids, text.size);
  const parsed = parseTiny(config, parseNextVideoConfig);
  const processor = processorConfig(options.vision?.imageSize ?? IMAGE_SIZE);
  await writeCheckpointFolder(options.folder, {
    files: {
      ...text.files,
      'config.json': config,
      'generation_config.json': generationConfig(text.ids),
      'preprocessor_config.json': processor,
      'video_preprocessor_config.json': {
        ...processor,
        video_processor_type: 'LlavaNextVideoVideoProcessor',
      },
    },
    texts: { 'chat_template.jinja': TINY_CHAT_TEMPLATE },
    weights: tinyWeightsOf(NATIVE_NAMES, parsed, storedShapes(parsed), options),
  });
}

/** What is this family's in tokenizer_config.json. */
const TOKENIZER = {
  pad_token: '<unk>',
  processor_class: 'LlavaNextVideoProcessor',
};

/** What the model reads, and what published files hold beside it. */
export const storedShapes = (config: NextVideoConfig): Shapes =>
  storedShapesOf(NATIVE_NAMES, config, false);

/** config.json in the published style. */
function tinyConfig(
  options: NextVideoTinyOptions,
  ids: ReadonlyMap<string, number>,
  vocabularySize: number,
): JsonObject {
  const decoder = tinyDecoderConfig(options, vocabularySize);
  return {
    architectures: ['LlavaNextVideoForConditionalGeneration'],
    image_grid_pinpoints: [
      [336, 672],
      [672, 336],
      [672, 672],
      [1008, 336],
      [336, 1008],
    ],
    image_seq_length: 16,
    image_token_index: ids.get('<image>'),
    model_type: MODEL_TYPE,
    multimodal_projector_bias: true,
    projector_hidden_act: 'gelu',
    spatial_pool_mode: 'average',
    spatial_pool_stride: 2,
    text_config: {
      ...decoder,
      architectures: ['LlamaForCausalLM'],
      bos_token_id: ids.get('<s>'),
      eos_token_id: ids.get('</s>'),
      pad_token_id: ids.get('<unk>'),
      model_type: 'llama',
      num_key_value_heads: options.kvHeads ?? decoder['num_attention_heads'],
      rms_norm_eps: 1e-5,
      rope_scaling: { factor: 2.5, type: 'linear' },
    },
    tie_word_embeddings: false,
    torch_dtype: tinyDtype(options),
    video_seq_length: 288,
    video_token_index: ids.get('<video>'),
    vision_config: {
      ...fixedTowerConfig(options, IMAGE_SIZE),
      hidden_act: 'quick_gelu',
      layer_norm_eps: 1e-5,
      model_type: 'clip_vision_model',
    },
    vision_feature_layer: -2,
    vision_feature_select_strategy: 'default',
  };
}

const generationConfig = (ids: ReadonlyMap<string, number>): JsonObject => ({
  bos_token_id: ids.get('<s>'),
  eos_token_id: ids.get('</s>'),
  pad_token_id: ids.get('<unk>'),
});

const processorConfig = (side: number): JsonObject =>
  pixelStepsConfig(CLIP_STATISTICS, {
    crop_size: { height: side, width: side },
    do_center_crop: true,
    image_processor_type: 'LlavaNextImageProcessor',
    processor_class: 'LlavaNextVideoProcessor',
    size: { shortest_edge: side },
  });
