import path from 'node:path';
import { internVl3, internVl3Shapes, parseInternVl3Config } from '@spatialsv/adapter-internvl3';
import { parseQwen25VlConfig, qwen25Vl, qwen25VlShapes } from '@spatialsv/adapter-qwen25vl';
import type { BackboneAdapterV1, TinyCheckpointOptions } from '@spatialsv/core';
import { cachedFolder, editJson, type Json, writeRandomWeights } from './random-checkpoint.js';

/** A checkpoint of a family: a tiny one whose configuration files are changed to these sizes. */
interface LargeSize {
  readonly adapter: BackboneAdapterV1;
  readonly settings?: TinyCheckpointOptions['settings'];
  /** Folder of a published tokenizer; the small one of tiny checkpoints where absent. */
  readonly tokenizer?: string;
  /** Changes by file; objects are changed key by key. */
  readonly files: Readonly<Record<string, Json>>;
  readonly shapes: (config: Json) => Readonly<Record<string, readonly number[]>>;
}

/** Sizes of Qwen2.5-VL, as config.json names them. */
export interface QwenSize {
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly vocab_size: number;
  readonly mrope_section: readonly number[];
  readonly vision: Readonly<Record<string, unknown>>;
}

/** The published vision encoder of all sizes of Qwen2.5-VL. */
const VISION = {
  depth: 32,
  hidden_size: 1280,
  intermediate_size: 3420,
  num_heads: 16,
  window_size: 112,
  fullatt_block_indexes: [7, 15, 23, 31],
};
const DECODER_3B = {
  hidden_size: 2048,
  intermediate_size: 11008,
  num_hidden_layers: 36,
  num_attention_heads: 16,
  num_key_value_heads: 2,
  vocab_size: 151936,
  mrope_section: [16, 24, 24],
};

/** `large-3b` is the published Qwen2.5-VL-3B-Instruct; the others are smaller in every direction. */
export const QWEN_SIZES: Readonly<Record<string, QwenSize>> = {
  'large-3b': { ...DECODER_3B, vision: VISION },
  'large-1b': {
    ...DECODER_3B,
    hidden_size: 1536,
    intermediate_size: 8960,
    num_hidden_layers: 18,
    num_attention_heads: 12,
    vision: VISION,
  },
  'large-100m': {
    hidden_size: 512,
    intermediate_size: 2816,
    num_hidden_layers: 8,
    num_attention_heads: 8,
    num_key_value_heads: 2,
    vocab_size: 32000,
    mrope_section: [8, 12, 12],
    vision: {
      depth: 4,
      hidden_size: 320,
      intermediate_size: 856,
      num_heads: 4,
      window_size: 112,
      fullatt_block_indexes: [3],
    },
  },
};

/** A Qwen2.5-VL of these sizes. */
export const qwenOfSize = ({ vision, mrope_section, ...decoder }: QwenSize): LargeSize => ({
  adapter: qwen25Vl,
  files: {
    'config.json': {
      ...decoder,
      torch_dtype: 'bfloat16',
      max_position_embeddings: 128000,
      rope_scaling: { type: 'mrope', mrope_section },
      vision_config: { ...vision, out_hidden_size: decoder.hidden_size },
    },
    'preprocessor_config.json': { min_pixels: 3136, max_pixels: 12845056 },
  },
  shapes: (config) => qwen25VlShapes(parseQwen25VlConfig(config)),
});

/** The published InternVL3-2B, in the layout of transformers. */
const INTERNVL3_2B: LargeSize = {
  adapter: internVl3,
  settings: { layout: 'native' },
  files: {
    'config.json': {
      image_seq_length: 256,
      torch_dtype: 'bfloat16',
      text_config: {
        hidden_size: 1536,
        intermediate_size: 8960,
        num_hidden_layers: 28,
        num_attention_heads: 12,
        num_key_value_heads: 2,
        vocab_size: 151674,
      },
      vision_config: {
        hidden_size: 1024,
        intermediate_size: 4096,
        num_hidden_layers: 24,
        num_attention_heads: 16,
        image_size: [448, 448],
      },
    },
    'preprocessor_config.json': { size: { height: 448, width: 448 } },
    'processor_config.json': { image_seq_length: 256 },
  },
  shapes: (config) => internVl3Shapes(parseInternVl3Config(config)),
};

/** By name; the first one is what runs without a name. */
export const LARGE_SIZES: Readonly<Record<string, LargeSize>> = {
  ...Object.fromEntries(Object.entries(QWEN_SIZES).map(([name, size]) => [name, qwenOfSize(size)])),
  'internvl3-2b': INTERNVL3_2B,
};

/**
 * A random bfloat16 checkpoint of real shape, in the user's cache folder. Its tokenizer is the small one of
 * `spatialsv tiny`; the embedding table has all rows.
 * @returns its folder.
 */
export const largeCheckpoint = (name: string, size: LargeSize): Promise<string> =>
  cachedFolder(name, async (folder) => {
    const { adapter, settings, tokenizer, files, shapes } = size;
    await adapter.writeTiny({
      ...{ folder, seed: 1, hiddenSize: 64, layers: 1, heads: 2 },
      ...(settings !== undefined && { settings }),
      ...(tokenizer !== undefined && { tokenizer }),
    });
    for (const [file, changes] of Object.entries(files))
      await editJson(path.join(folder, file), (content) => changed(content, changes));
    const config = await editJson(path.join(folder, 'config.json'), (content) => content);
    await writeRandomWeights(folder, shapes(config));
  });

/** An object with changes, those of objects in it key by key. */
function changed(content: Json, changes: Json): Json {
  const isObject = (value: unknown): value is Json =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  const entries = Object.entries(changes).map(([key, value]) => {
    const before = content[key];
    return [key, isObject(value) && isObject(before) ? changed(before, value) : value] as const;
  });
  return { ...content, ...Object.fromEntries(entries) };
}
