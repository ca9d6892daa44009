import {
  HALF_STATISTICS,
  type JsonObject,
  pixelStepsConfig,
  qwenGenerationConfig,
  type Shapes,
  type TinyText,
  tinyDecoderConfig,
  tinyDtype,
  tinyKvHeads,
  tinyText,
  writeCheckpointFolder,
} from '@spatialsv/core/kit';
import { storedShapesOf, tinyWeightsOf } from '../shared/model-names.js';
import { NATIVE_NAMES } from '../shared/native-names.js';
import { fixedTowerConfig, type NextVideoTinyOptions, parseTiny } from '../shared/tiny-tower.js';
import { type OneVisionConfig, parseOneVisionConfig, type Resolution } from './config.js';
import { MODEL_TYPE } from './model-type.js';
import { TINY_CHAT_TEMPLATE } from './tiny-template.js';

/** Side of a tile: 7 × 7 patches and some pixels that fill none. */
const IMAGE_SIZE = 104;
/** Tiles along one side at most. */
const MOST_TILES = 3;
/** Fewer than the largest resolution has, so that its grid is made smaller. */
const ASPECT_RATIO = 'anyres_max_4';

/** Special tokens of the family, in the order of their ids. */
const TOKENS = ['<|endoftext|>', '<|im_start|>', '<|im_end|>', '<image>', '<video>'];

export interface OneVisionTinyOptions extends NextVideoTinyOptions {
  /** Logits from the embedding table (as the 0.5B model) or from their own matrix (as the 7B model). Default false. */
  readonly tieHead?: boolean;
}

/**
 * Writes a small random LLaVA-OneVision checkpoint in the layout of transformers. It has every structural feature of the
 * family: tiles whose last pixels fill no patch, grids with a border and too large ones, an odd grid of frames, a newline.
 * @throws SpatialError USAGE for sizes that do not fit together.
 */
export async function writeTinyOneVision(options: OneVisionTinyOptions): Promise<void> {
  const { maxMerges } = options;
  const text = await tinyText(options, { special: TOKENS, config: TOKENIZER, maxMerges });
  const config = tinyConfig(options, text);
  const parsed = parseTiny(config, parseOneVisionConfig);
  await writeCheckpointFolder(options.folder, {
    files: {
      ...text.files,
      'config.json': config,
      'generation_config.json': qwenGenerationConfig(text.ids),
      ...processorFiles(parsed),
    },
    texts: { 'chat_template.jinja': TINY_CHAT_TEMPLATE },
    weights: tinyWeightsOf(NATIVE_NAMES, parsed, storedShapes(parsed), options),
  });
}

/** What is this family's in tokenizer_config.json. */
const TOKENIZER = {
  eos_token: '<|im_end|>',
  pad_token: '<|endoftext|>',
  processor_class: 'LlavaOnevisionProcessor',
  tokenizer_class: 'Qwen2Tokenizer',
};

/** What the model reads, and the norm behind the tower, which published files hold beside it. */
export const storedShapes = (config: OneVisionConfig): Shapes =>
  storedShapesOf(NATIVE_NAMES, config, true, config.vision.tower.depth);

/** config.json in the published style. */
function tinyConfig(options: OneVisionTinyOptions, { ids, size }: TinyText): JsonObject {
  const vision = fixedTowerConfig(options, IMAGE_SIZE);
  const imageSize = vision['image_size'] as number;
  return {
    architectures: ['LlavaOnevisionForConditionalGeneration'],
    image_grid_pinpoints: resolutions(imageSize),
    image_token_index: ids.get('<image>'),
    model_type: MODEL_TYPE,
    projector_hidden_act: 'gelu',
    text_config: tinyTextConfig(options, size),
    tie_word_embeddings: options.tieHead ?? false,
    torch_dtype: tinyDtype(options),
    video_token_index: ids.get('<video>'),
    vision_aspect_ratio: ASPECT_RATIO,
    vision_config: { ...vision, model_type: 'siglip_vision_model', vision_use_head: false },
    vision_feature_layer: -1,
    vision_feature_select_strategy: 'full',
  };
}

function tinyTextConfig(options: OneVisionTinyOptions, size: number): JsonObject {
  const decoder = tinyDecoderConfig(options, size);
  return {
    ...decoder,
    model_type: 'qwen2',
    num_key_value_heads: tinyKvHeads(options),
    rms_norm_eps: 1e-6,
    rope_theta: 1000000,
    tie_word_embeddings: options.tieHead ?? false,
    use_sliding_window: false,
  };
}

function resolutions(imageSize: number): readonly Resolution[] {
  const sides = Array.from({ length: MOST_TILES }, (_, i) => imageSize * (i + 1));
  return sides.flatMap((height) => sides.map((width): Resolution => [height, width]));
}

function processorFiles({ vision, resolutions: pinpoints }: OneVisionConfig) {
  const pixels = pixelStepsConfig(HALF_STATISTICS, {
    processor_class: 'LlavaOnevisionProcessor',
    size: { height: vision.imageSize, width: vision.imageSize },
  });
  return {
    'preprocessor_config.json': {
      ...pixels,
      do_pad: true,
      image_grid_pinpoints: pinpoints,
      image_processor_type: 'LlavaOnevisionImageProcessor',
    },
    'processor_config.json': {
      image_token: '<image>',
      num_image_tokens: vision.side ** 2,
      processor_class: 'LlavaOnevisionProcessor',
      video_token: '<video>',
      vision_aspect_ratio: ASPECT_RATIO,
      vision_feature_select_strategy: 'full',
    },
    'video_preprocessor_config.json': {
      ...pixels,
      video_processor_type: 'LlavaOnevisionVideoProcessor',
    },
  };
}
