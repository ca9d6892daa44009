/** Small random checkpoints of models with cells. */
import { SpatialError } from '../../errors.js';
import type { JsonObject } from '../../json.js';
import { float32Source } from '../../safetensors/index.js';
import type { TinyCheckpointOptions } from '../../spec.js';
import { CLIP_STATISTICS } from '../image-processor.js';
import { type TinyText, tinyText } from '../tiny-text.js';
import { QWEN_TOKENS } from '../tiny-tokenizer.js';
import { writeCheckpointFolder } from '../write-checkpoint.js';
import type { CellModel } from './backbone.js';
import { cellShapes } from './names.js';
import { TINY_CHAT_TEMPLATE } from './tiny-template.js';
import { tinyCellWeights } from './tiny-weights.js';
import { patchesOf } from './vision.js';

/** What can be chosen in every family with cells beside the options that all families share. */
export interface TinyCellOptions extends TinyCheckpointOptions {
  readonly kvHeads?: number;
  readonly intermediateSize?: number;
  readonly storedAs?: 'F32' | 'BF16';
  /** Upper bound on learnt tokens. Default 1500. */
  readonly maxMerges?: number;
  /** Pixel limits of preprocessor_config.json. Default 784 and 50176 (64 visual tokens). */
  readonly minPixels?: number;
  readonly maxPixels?: number;
  /** Size of the projector's output weights, 0.2 by default; 1 lets a model that is trained from scratch see sooner. */
  readonly projectorGain?: number;
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
  const model = parseTinyConfig(config, family);
  await writeCheckpointFolder(folder, {
    files: {
      'config.json': config,
      'generation_config.json': generationConfig(text.ids),
      'preprocessor_config.json': preprocessorConfig(options, model),
      ...text.files,
    },
    texts: { 'chat_template.jinja': TINY_CHAT_TEMPLATE },
    weights: tinyTensors(model, options),
  });
}

function tinyTensors(model: CellModel, { seed, projectorGain, storedAs = 'F32' }: TinyCellOptions) {
  const shapes = cellShapes(model.vision, model.decoder);
  const values = tinyCellWeights(model, seed, projectorGain);
  return new Map(
    [...values].map(([name, data]) => [name, float32Source(data, shapes[name]!, storedAs)]),
  );
}

/** Sizes come from the caller here, so a misfit is wrong usage rather than a damaged file. */
function parseTinyConfig(config: JsonObject, { parse, sizes }: TinyCellFamily): CellModel {
  try {
    return parse(config, 'tiny checkpoint');
  } catch (cause) {
    if (!SpatialError.isInstance(cause)) throw cause;
    throw new SpatialError({
      code: 'USAGE',
      message: cause.message,
      hint: `Choose ${sizes}, and heads that are a multiple of the kv heads.`,
      cause,
    });
  }
}

function generationConfig(ids: ReadonlyMap<string, number>): JsonObject {
  return {
    bos_token_id: ids.get('<|endoftext|>'),
    do_sample: false,
    eos_token_id: [ids.get('<|im_end|>'), ids.get('<|endoftext|>')],
    pad_token_id: ids.get('<|endoftext|>'),
  };
}

function preprocessorConfig(options: TinyCellOptions, { vision }: CellModel): JsonObject {
  const { patchSize, frames, mergeSize } = patchesOf(vision);
  return {
    do_convert_rgb: true,
    do_normalize: true,
    do_rescale: true,
    do_resize: true,
    image_mean: CLIP_STATISTICS.mean,
    image_processor_type: 'Qwen2VLImageProcessor',
    image_std: CLIP_STATISTICS.std,
    max_pixels: options.maxPixels ?? 50176,
    merge_size: mergeSize,
    min_pixels: options.minPixels ?? 784,
    patch_size: patchSize,
    processor_class: 'Qwen2_5_VLProcessor',
    resample: 3,
    rescale_factor: 1 / 255,
    temporal_patch_size: frames,
  };
}
