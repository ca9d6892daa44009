import {
  type JsonObject,
  parseBackboneSettings,
  QWEN_TOKENIZER,
  qwenGenerationConfig,
  type Shapes,
  tinyDecoderConfig,
  tinyDtype,
  tinyKvHeads,
  tinyText,
  writeCheckpointFolder,
} from '@spatialsv/core/kit';
import { storedShapesOf, tinyWeightsOf } from '../shared/model-names.js';
import { fixedTowerConfig, type NextVideoTinyOptions, parseTiny } from '../shared/tiny-tower.js';
import type { NewlinePosition } from '../shared/video.js';
import { type NextVideoSiglipConfig, parseNextVideoSiglipConfig } from './config.js';
import { ADAPTER_ID, ARCHITECTURE, MODEL_TYPE } from './model-type.js';
import { NAMES } from './names.js';
import { settingsSchema } from './settings.js';

/** Side of a frame: 7 × 7 patches and some pixels that fill none, 4 × 4 cells. */
const IMAGE_SIZE = 104;

/** Special tokens of Qwen2, in the order of their ids. */
const QWEN2_TOKENS = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];

export interface NextVideoSiglipTinyOptions extends NextVideoTinyOptions {
  /** Default `bilinear`. */
  readonly pool?: NextVideoSiglipConfig['pooling']['mode'] | undefined;
  /** Default `grid`. */
  readonly newline?: NewlinePosition | undefined;
  /** Whether the file holds the tower's last block, which never runs. Default false, as in the published file. */
  readonly lastBlock?: boolean;
}

/**
 * Writes a small random checkpoint of LLaVA-NeXT-Video with SigLIP and Qwen2 in the layout of the original code: config.json,
 * model.safetensors, tokenizer and generation settings, no processor and no chat template. It has every structural feature
 * of the family: frames whose last pixels fill no patch, an odd grid pooled by interpolation, newlines.
 * @throws SpatialError USAGE for sizes that do not fit together.
 */
export async function writeTinyNextVideoSiglip(options: NextVideoSiglipTinyOptions): Promise<void> {
  const { maxMerges } = options;
  const settings = parseBackboneSettings(ADAPTER_ID, settingsSchema, options);
  const text = await tinyText(options, {
    special: QWEN2_TOKENS,
    config: QWEN_TOKENIZER,
    maxMerges,
  });
  const config = tinyConfig({ ...options, ...settings }, text.ids, text.size);
  const parsed = parseTiny(config, parseNextVideoSiglipConfig);
  const shapes = storedShapes(parsed, options.lastBlock);
  await writeCheckpointFolder(options.folder, {
    files: {
      ...text.files,
      'config.json': config,
      'generation_config.json': qwenGenerationConfig(text.ids),
    },
    weights: tinyWeightsOf(NAMES, parsed, shapes, options),
  });
}

/** What the model reads, and what published files hold beside it. @param lastBlock whether they hold that block. */
export function storedShapes(config: NextVideoSiglipConfig, lastBlock = false): Shapes {
  const { tower, storedDepth } = config.vision;
  return storedShapesOf(NAMES, config, false, lastBlock ? storedDepth : tower.depth);
}

/** config.json in the published style; the sizes of the tower are an addition to it. */
function tinyConfig(
  options: NextVideoSiglipTinyOptions,
  ids: ReadonlyMap<string, number>,
  vocabularySize: number,
): JsonObject {
  const decoder = tinyDecoderConfig(options, vocabularySize);
  const vision = fixedTowerConfig(options, IMAGE_SIZE);
  return {
    ...decoder,
    add_faster_video: false,
    add_time_instruction: false,
    architectures: [ARCHITECTURE],
    bos_token_id: ids.get('<|endoftext|>'),
    eos_token_id: ids.get('<|im_end|>'),
    image_aspect_ratio: 'anyres_max_9',
    mm_hidden_size: vision['hidden_size'],
    mm_newline_position: options.newline ?? 'grid',
    mm_patch_merge_type: 'spatial_unpad',
    mm_projector_type: 'mlp2x_gelu',
    mm_spatial_pool_mode: options.pool ?? 'bilinear',
    mm_spatial_pool_stride: 2,
    mm_use_im_start_end: false,
    mm_vision_select_layer: -2,
    mm_vision_tower: 'google/siglip-so400m-patch14-384',
    model_type: MODEL_TYPE,
    num_key_value_heads: tinyKvHeads(options),
    rms_norm_eps: 1e-6,
    rope_scaling: null,
    rope_theta: 1000000,
    tie_word_embeddings: false,
    torch_dtype: tinyDtype(options),
    use_mm_proj: true,
    use_sliding_window: false,
    vision_config: { ...vision, model_type: 'siglip_vision_model' },
  };
}
