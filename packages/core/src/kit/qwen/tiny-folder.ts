/** Small random checkpoints of models with cells. */
import type { JsonObject } from '../../json.js';
import type { TensorSources } from '../../safetensors/index.js';
import { CLIP_STATISTICS } from '../image-processor.js';
import {
  parseTinyConfig,
  pixelStepsConfig,
  qwenGenerationConfig,
  type TinyModelOptions,
  type TinyModelParts,
  tinyModelWeights,
} from '../tiny-model.js';
import { type TinyText, tinyText } from '../tiny-text.js';
import { QWEN_TOKENS } from '../tiny-tokenizer.js';
import { writeCheckpointFolder } from '../write-checkpoint.js';
import type { CellModel } from './backbone.js';
import { cellShapes } from './names.js';
import { TINY_CHAT_TEMPLATE } from './tiny-template.js';
import { MERGER, MERGER_NAMES, patchesOf, TOWER } from './vision.js';

/** What can be chosen in every family with cells. */
export interface TinyCellOptions extends TinyModelOptions {
  /** Pixel limits of preprocessor_config.json. Default 784 and 50176 (64 visual tokens). */
  readonly minPixels?: number;
  readonly maxPixels?: number;
}

export interface TinyCellFamily {
  /** Content of config.json. */
  readonly config: (text: TinyText) => JsonObject;
  readonly parse: (config: JsonObject, where: string) => CellModel;
  /** Which sizes fit together, for messages. */
  readonly sizes: string;
}

/** What is the family's in tokenizer_config.json. */
const TOKENIZER = {
  eos_token: '<|im_end|>',
  pad_token: '<|endoftext|>',
  processor_class: 'Qwen2_5_VLProcessor',
  tokenizer_class: 'Qwen2Tokenizer',
};

/**
 * Writes a checkpoint in the published layout: config.json, model.safetensors, tokenizer, chat template, image processor and
 * generation settings.
 * @throws SpatialError USAGE for sizes that do not fit together; FILE_MISSING | FILE_INVALID for a tokenizer's folder.
 */
export async function writeTinyCells(
  options: TinyCellOptions,
  family: TinyCellFamily,
): Promise<void> {
  const { folder, maxMerges } = options;
  const text = await tinyText(options, { special: QWEN_TOKENS, config: TOKENIZER, maxMerges });
  const config = family.config(text);
  const model = parseTinyConfig(config, family.parse, family.sizes);
  await writeCheckpointFolder(folder, {
    files: {
      'config.json': config,
      'generation_config.json': qwenGenerationConfig(text.ids),
      'preprocessor_config.json': preprocessorConfig(options, model),
      ...text.files,
    },
    texts: { 'chat_template.jinja': TINY_CHAT_TEMPLATE },
    weights: tinyTensors(model, options),
  });
}

function tinyTensors(model: CellModel, options: TinyCellOptions): TensorSources {
  const { vision, decoder } = model;
  const parts: TinyModelParts = {
    shapes: cellShapes(vision, decoder),
    layers: decoder.layers,
    tower: vision.tower,
    vision: TOWER,
    names: vision.names,
    output: `${MERGER}.${MERGER_NAMES.second}`,
    special: (name, shape, random) =>
      /\.class_(embedding|pos_emb)$/.test(name)
        ? random.normals(shape[0]! * (shape[1] ?? 1), 0.2)
        : undefined,
  };
  return tinyModelWeights(parts, options);
}

function preprocessorConfig(options: TinyCellOptions, { vision }: CellModel): JsonObject {
  const { patchSize, frames, mergeSize } = patchesOf(vision);
  return pixelStepsConfig(CLIP_STATISTICS, {
    image_processor_type: 'Qwen2VLImageProcessor',
    max_pixels: options.maxPixels ?? 50176,
    merge_size: mergeSize,
    min_pixels: options.minPixels ?? 784,
    patch_size: patchSize,
    processor_class: 'Qwen2_5_VLProcessor',
    temporal_patch_size: frames,
  });
}
