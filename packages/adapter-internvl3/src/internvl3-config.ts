import {
  type ConfigFields,
  configFields,
  type DecoderConfig,
  invalidField,
  type JsonObject,
  readDecoderConfig,
  type VisionTowerConfig,
} from '@spatialsv/core/kit';
import { DEFAULT_SYSTEM } from './internvl3-prompt.js';
import { type CheckpointLayout, layoutOf, MODEL_TYPES } from './model-type.js';
import { parseOriginalTiling, type TilingConfig } from './tiling.js';

/** Vision tower of one tile, and the projector behind it. */
export interface VisionConfig {
  readonly tower: VisionTowerConfig;
  /** Side of a tile in pixels. */
  readonly tileSize: number;
  /** Width of the projector's output, the decoder's hidden size. */
  readonly outputSize: number;
}

/** Side in patches of what becomes one visual token (`downsample_ratio` 0.5). */
export const CELL_SIDE = 2;

/** Rows and columns of visual tokens of one tile. */
export const cellsPerSide = ({ tileSize, tower }: VisionConfig): number =>
  tileSize / tower.patch.size / CELL_SIDE;

export interface InternVl3Config {
  readonly layout: CheckpointLayout;
  readonly decoder: DecoderConfig;
  readonly vision: VisionConfig;
  /** Id of the token at every visual position; in the original layout the tokenizer alone says it. */
  readonly imageTokenId?: number;
  /** What only the original layout keeps in config.json. */
  readonly original?: { readonly tiling: TilingConfig; readonly system: string };
}

/**
 * Reads config.json of either layout. Absent keys have the defaults of the classes that read the file: those of
 * transformers 5.18, or those of the code that comes with the original checkpoints.
 * @param where path of the file, for messages.
 * @throws SpatialError CONFIG_INVALID for a missing or ill-typed field, and for a structure that is not that of InternVL3
 *   with InternViT-300M and a Qwen2.5 decoder.
 */
export function parseInternVl3Config(config: JsonObject, where = 'config.json'): InternVl3Config {
  const layout = layoutOf(config);
  const root = configFields(config, where);
  if (layout === undefined) root.require('model_type', Object.values(MODEL_TYPES));
  const parsed = layout === 'original' ? parseOriginal(root) : parseNative(root);
  const { vocabularySize } = parsed.decoder;
  if (parsed.imageTokenId === undefined || parsed.imageTokenId < vocabularySize) return parsed;
  const expected = `an id below the vocabulary's size ${vocabularySize}`;
  throw invalidField(`${root.where}.image_token_id`, expected, parsed.imageTokenId);
}

// ---------------------------------------------------------------------------------------------- original layout

function parseOriginal(root: ConfigFields): InternVl3Config {
  root.require('template', ['internvl2_5']);
  // An absent version means v1, which transposes every tile.
  requireStated(root, { ps_version: '"v2"', llm_config: 'an object', vision_config: 'an object' });
  root.require('ps_version', ['v2']);
  root.require('select_layer', [-1]);
  root.require('downsample_ratio', [0.5]);
  root.require('pad2square', [false]);
  for (const adapter of ['use_backbone_lora', 'use_llm_lora']) root.require(adapter, [0]);
  const llm = root.section('llm_config');
  checkArchitecture(llm);
  const tieHead = root.boolean('tie_word_embeddings', llm.boolean('tie_word_embeddings', false));
  const decoder = readDecoderConfig(llm, 'qwen2', tieHead);
  const fields = root.section('vision_config');
  const tileSize = root.positive('force_image_size', fields.positive('image_size', 224));
  const tower = parseTower('original', fields, {
    patchSize: fields.positive('patch_size', 14),
    tableSize: fields.positive('image_size', 224),
    tileSize,
  });
  return {
    layout: 'original',
    decoder,
    vision: { tower, tileSize, outputSize: decoder.hiddenSize },
    original: { tiling: parseOriginalTiling(root, tileSize), system: systemOf(root) },
  };
}

function checkArchitecture(llm: ConfigFields): void {
  const found: unknown = llm.object['architectures'];
  if (Array.isArray(found) && found[0] === 'Qwen2ForCausalLM') return;
  throw invalidField(`${llm.where}.architectures`, '["Qwen2ForCausalLM"]', found);
}

function systemOf(root: ConfigFields): string {
  const stated: unknown = root.object['system_message'] ?? DEFAULT_SYSTEM;
  if (typeof stated === 'string') return stated;
  throw invalidField(`${root.where}.system_message`, 'a text', stated);
}

// ---------------------------------------------------------------------------------------------- transformers' layout

function parseNative(root: ConfigFields): InternVl3Config {
  root.require('vision_feature_layer', [-1]);
  root.require('vision_feature_select_strategy', ['default']);
  root.require('downsample_ratio', [0.5]);
  root.require('projector_hidden_act', ['gelu']);
  const text = root.section('text_config');
  text.require('model_type', ['qwen2']);
  const tieHead = root.boolean('tie_word_embeddings', true);
  const decoder = readDecoderConfig(text, 'qwen2', tieHead);
  const fields = root.section('vision_config');
  const tileSize = squareSide(fields, 'image_size', 448);
  const patchSize = squareSide(fields, 'patch_size', 14);
  const tower = parseTower('native', fields, { patchSize, tableSize: tileSize, tileSize });
  fields.require('use_absolute_position_embeddings', [true]);
  fields.require('use_mask_token', [false]);
  // Without it the tower has one more norm.
  fields.require('use_mean_pooling', [true]);
  const vision = { tower, tileSize, outputSize: decoder.hiddenSize };
  root.require('image_seq_length', [cellsPerSide(vision) ** 2]);
  return {
    layout: 'native',
    decoder,
    vision,
    imageTokenId: root.integer('image_token_id', 151667),
  };
}

/** A number, or two equal ones. */
function squareSide(fields: ConfigFields, key: string, fallback: number): number {
  const value: unknown = fields.object[key] ?? fallback;
  const [height, width]: unknown[] =
    Array.isArray(value) && value.length === 2 ? value : [value, value];
  if (typeof height === 'number' && height > 0 && height === width) return height;
  throw invalidField(`${fields.where}.${key}`, 'a positive number, or two equal ones', value);
}

// ---------------------------------------------------------------------------------------------- both layouts

/** Kinds by `norm_type`. */
const NORMS = { layer_norm: 'layer', rms_norm: 'rms' } as const;

/** What the configuration class of a layout says where config.json does not, and what it calls things. */
interface TowerClass {
  readonly width: number;
  readonly heads: number;
  readonly depth: number;
  /** Channels inside the perceptron of a block. */
  readonly hidden: number;
  /** The default, and the other one. */
  readonly norms: readonly (keyof typeof NORMS)[];
  readonly bias: string;
  readonly headNorms: readonly [key: string, fallback: boolean];
}

const TOWER_CLASSES: Readonly<Record<CheckpointLayout, TowerClass>> = {
  // The defaults of the original class are those of InternViT-6B.
  original: {
    ...{ width: 3200, heads: 25, depth: 48, hidden: 12800 },
    norms: ['rms_norm', 'layer_norm'],
    bias: 'qkv_bias',
    headNorms: ['qk_normalization', true],
  },
  native: {
    ...{ width: 1024, heads: 16, depth: 24, hidden: 4096 },
    norms: ['layer_norm', 'rms_norm'],
    bias: 'attention_bias',
    headNorms: ['use_qk_norm', false],
  },
};

interface TowerSides {
  readonly patchSize: number;
  /** Side in pixels of the images that the table of positions was learnt for. */
  readonly tableSize: number;
  readonly tileSize: number;
}

function parseTower(
  layout: CheckpointLayout,
  fields: ConfigFields,
  { patchSize, tableSize, tileSize }: TowerSides,
): VisionTowerConfig {
  const defaults = TOWER_CLASSES[layout];
  refuseHeadNorms(fields, ...defaults.headNorms);
  fields.require('hidden_act', ['gelu']);
  fields.require('num_channels', [3]);
  fields.require('norm_type', defaults.norms);
  const norm = (fields.object['norm_type'] ?? defaults.norms[0]) as keyof typeof NORMS;
  const width = fields.positive('hidden_size', defaults.width);
  const heads = fields.positive('num_attention_heads', defaults.heads);
  const hidden = fields.positive('intermediate_size', defaults.hidden);
  fields.multiple('hidden_size', width, heads);
  fields.multiple('image_size', tableSize, patchSize);
  fields.multiple('image_size', tileSize, CELL_SIDE * patchSize);
  return {
    width,
    heads,
    depth: fields.positive('num_hidden_layers', defaults.depth),
    norm: { kind: NORMS[norm], epsilon: fields.positive('layer_norm_eps', 1e-6) },
    qkvBias: fields.boolean(defaults.bias, false),
    layerScale: true,
    mlp: { hidden, activation: 'gelu', gated: false },
    patch: { size: patchSize, channels: 3, bias: true },
    cellSide: CELL_SIDE,
    classToken: { angles: false },
    positions: { side: tableSize / patchSize, resampling: { kind: 'offset', offset: 0 } },
  };
}

function refuseHeadNorms(fields: ConfigFields, key: string, fallback: boolean): void {
  if (!fields.boolean(key, fallback)) return;
  const expected =
    'false, as in InternViT-300M (InternViT-6B, which the largest models have, is not supported)';
  throw invalidField(`${fields.where}.${key}`, expected, true);
}

/** @param expected of keys that have no default. */
function requireStated(fields: ConfigFields, expected: Readonly<Record<string, string>>): void {
  for (const [key, what] of Object.entries(expected))
    if (!fields.has(key)) throw invalidField(`${fields.where}.${key}`, what, undefined);
}
