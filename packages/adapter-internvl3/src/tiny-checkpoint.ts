import {
  type JsonObject,
  parseBackboneSettings,
  parseTinyConfig,
  QWEN_TOKENIZER,
  QWEN_TOKENS,
  qwenGenerationConfig,
  sizeOf,
  type TinyModelParts,
  tinyChatMlTemplate,
  tinyModelWeights,
  tinyText,
  writeCheckpointFolder,
} from '@spatialsv/core/kit';
import type { TinyCheckpointOptions } from '@spatialsv/core/spec';
import { z } from 'zod';
import { parseInternVl3Config } from './internvl3-config.js';
import { internVl3Shapes } from './internvl3-names.js';
import { VISION_NAMES } from './internvl3-vision.js';
import type { CheckpointLayout } from './model-type.js';
import {
  type InternVl3TinyOptions,
  nativeConfig,
  nativeProcessorFiles,
  originalConfig,
} from './tiny-config.js';

/** Tokens of InternVL, behind those of Qwen2.5, in the order of their ids. */
const INTERN_TOKENS = '<img> </img> <IMG_CONTEXT> <quad> </quad> <ref> </ref> <box> </box>'.split(
  ' ',
);

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
  await writeCheckpointFolder(folder, {
    files: {
      'config.json': config,
      'generation_config.json': qwenGenerationConfig(text.ids),
      ...(layout === 'native' && nativeProcessorFiles(options)),
      ...text.files,
    },
    ...(layout === 'native' && { texts: { 'chat_template.jinja': CHAT_TEMPLATE } }),
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

/** The same output as the published one: no system turn of its own, each view a marker and a newline. */
const CHAT_TEMPLATE = tinyChatMlTemplate({
  image: "{{- '<IMG_CONTEXT>\\n' -}}",
  video: "{{- '<video>\\n' -}}",
});

/** What is this family's in tokenizer_config.json. */
const TOKENIZER: Readonly<Record<CheckpointLayout, JsonObject>> = {
  original: QWEN_TOKENIZER,
  native: {
    ...QWEN_TOKENIZER,
    extra_special_tokens: {
      start_image_token: '<img>',
      end_image_token: '</img>',
      context_image_token: '<IMG_CONTEXT>',
      video_token: '<video>',
    },
    processor_class: 'InternVLProcessor',
  },
};

/** Size of the learnt position of a patch beside what the patch shows. */
const POSITION_DEVIATION = 0.1;

const SIZES = 'a hidden size that is a multiple of twice the heads';

function tinyTensors(raw: JsonObject, options: InternVl3TinyOptions) {
  const config = parseTinyConfig(raw, parseInternVl3Config, SIZES);
  const { tower, ofTower, projector, ofProjector } = VISION_NAMES[config.layout];
  const positions = [ofTower.classToken, ofTower.positions].map(({ name }) => `${tower}.${name}`);
  const special: TinyModelParts['special'] = (name, shape, random) => {
    const size = sizeOf(shape);
    if (positions.includes(name)) return random.normals(size, POSITION_DEVIATION);
    const isNorm = name === `${projector}.${ofProjector.norm}.weight`;
    return isNorm ? new Float32Array(size).fill(1) : undefined;
  };
  const output = `${projector}.${ofProjector.second}`;
  const { decoder, vision } = config;
  const shapes = internVl3Shapes(config);
  const parts = { shapes, layers: decoder.layers, tower: vision.tower, output, special };
  return tinyModelWeights({ ...parts, vision: tower, names: ofTower }, options);
}
