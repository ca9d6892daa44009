import {
  float32Source,
  type JsonObject,
  parseBackboneSettings,
  QWEN_TOKENS,
  tinyText,
  writeCheckpointFolder,
} from '@spatialsv/core/kit';
import { SpatialError, type TinyCheckpointOptions } from '@spatialsv/core/spec';
import { z } from 'zod';
import { parseInternVl3Config } from './internvl3-config.js';
import { internVl3Shapes } from './internvl3-names.js';
import type { CheckpointLayout } from './model-type.js';
import {
  nativeConfig,
  nativePreprocessorConfig,
  nativeProcessorConfig,
  originalConfig,
  tinyGenerationConfig,
} from './tiny-config.js';
import { TINY_CHAT_TEMPLATE } from './tiny-template.js';
import { tinyInternWeights } from './tiny-weights.js';

/** What can be chosen beside the options that all families share. */
export interface InternVl3TinyOptions extends TinyCheckpointOptions {
  /** `original` by default. */
  readonly layout?: CheckpointLayout;
  readonly kvHeads?: number;
  readonly intermediateSize?: number;
  /** Logits from the embedding table or from their own matrix, as in every published model. Default false. */
  readonly tieHead?: boolean;
  readonly storedAs?: 'F32' | 'BF16';
  /** Upper bound on learnt tokens. Default 1500. */
  readonly maxMerges?: number;
  /** Tiles of a view at most. Default 12. */
  readonly maxTiles?: number;
  readonly vision?: TinyVisionOptions;
  /** Base of the rotary positions, 1000000 (the published one) by default. */
  readonly ropeTheta?: number;
  /** Size of the projector's output weights, 0.2 by default; 1 lets a model that is trained from scratch see sooner. */
  readonly projectorGain?: number;
}

export interface TinyVisionOptions {
  readonly depth?: number;
  readonly hiddenSize?: number;
  readonly intermediateSize?: number;
  readonly heads?: number;
  /** Side of a tile in pixels, a multiple of 28. Default 224, which gives 64 visual tokens. */
  readonly tileSize?: number;
}

/** Tokens of InternVL, behind those of Qwen2.5, in the order of their ids. */
const INTERN_TOKENS = [
  '<img>',
  '</img>',
  '<IMG_CONTEXT>',
  '<quad>',
  '</quad>',
  '<ref>',
  '</ref>',
  '<box>',
  '</box>',
] as const;

/** The processor of transformers wants one more. */
const SPECIAL_TOKENS: Readonly<Record<CheckpointLayout, readonly string[]>> = {
  original: [...QWEN_TOKENS, ...INTERN_TOKENS],
  native: [...QWEN_TOKENS, ...INTERN_TOKENS, '<video>'],
};

/**
 * Writes a small random InternVL3 checkpoint in either published layout: config.json, model.safetensors, tokenizer and
 * generation settings, and in the layout of transformers the files of its processor. It has every structural feature of the
 * family: class token, learnt positions, layer scale, tiles with a thumbnail, grouped keys and values, dynamic rotary scaling.
 * @throws SpatialError USAGE for sizes that do not fit together.
 */
export async function writeTinyInternVl3(options: InternVl3TinyOptions): Promise<void> {
  const { folder, maxMerges, layout = 'original' } = options;
  const special = SPECIAL_TOKENS[layout];
  const text = await tinyText(options, { special, config: TOKENIZER[layout], maxMerges });
  const config =
    layout === 'original' ? originalConfig(options, text) : nativeConfig(options, text);
  const native = {
    'preprocessor_config.json': nativePreprocessorConfig(options),
    'processor_config.json': nativeProcessorConfig(options),
  };
  await writeCheckpointFolder(folder, {
    files: {
      'config.json': config,
      'generation_config.json': tinyGenerationConfig(text.ids),
      ...(layout === 'native' && native),
      ...text.files,
    },
    ...(layout === 'native' && { texts: { 'chat_template.jinja': TINY_CHAT_TEMPLATE } }),
    weights: tinyTensors(config, options),
  });
}

const settingsSchema = z.strictObject({ layout: z.enum(['original', 'native']).optional() });

/**
 * The same with the layout among the settings.
 * @throws SpatialError CONFIG_INVALID for another setting, USAGE for sizes that do not fit together.
 */
export async function writeTinyBySettings(
  family: string,
  options: TinyCheckpointOptions,
): Promise<void> {
  const { layout } = parseBackboneSettings(family, settingsSchema, options);
  await writeTinyInternVl3({ ...options, ...(layout !== undefined && { layout }) });
}

const SHARED_TOKENIZER = {
  eos_token: '<|im_end|>',
  pad_token: '<|endoftext|>',
  tokenizer_class: 'Qwen2Tokenizer',
};

/** What is this family's in tokenizer_config.json. */
const TOKENIZER: Readonly<Record<CheckpointLayout, JsonObject>> = {
  original: SHARED_TOKENIZER,
  native: {
    ...SHARED_TOKENIZER,
    extra_special_tokens: {
      start_image_token: '<img>',
      end_image_token: '</img>',
      context_image_token: '<IMG_CONTEXT>',
      video_token: '<video>',
    },
    processor_class: 'InternVLProcessor',
  },
};

function tinyTensors(config: JsonObject, options: InternVl3TinyOptions) {
  const parsed = parseTinyConfig(config);
  const shapes = internVl3Shapes(parsed);
  const values = tinyInternWeights(parsed, options.seed, options.projectorGain);
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
    return parseInternVl3Config(config, 'tiny checkpoint');
  } catch (cause) {
    if (!SpatialError.isInstance(cause)) throw cause;
    throw new SpatialError({
      code: 'USAGE',
      message: cause.message,
      hint: 'Choose a hidden size that is a multiple of twice the heads, and heads that are a multiple of the kv heads.',
      cause,
    });
  }
}
