import {
  type ConfigFields,
  configFields,
  type DecoderConfig,
  invalidField,
  type JsonObject,
  readDecoderConfig,
} from '@spatialsv/core/kit';
import { type FixedTower, readSiglipTower, runDepthOf } from '../shared/towers.js';
import { MODEL_TYPE } from './model-type.js';

/** [height, width] in pixels. */
export type Resolution = readonly [height: number, width: number];

export interface OneVisionConfig {
  readonly decoder: DecoderConfig;
  readonly vision: FixedTower;
  /** Sizes that a single image may be cut into tiles at, multiples of the tower's images. */
  readonly resolutions: readonly Resolution[];
  /** A grid of more cells than this many tiles have is made smaller. */
  readonly maxTiles: number;
  readonly imageTokenId: number;
  readonly videoTokenId: number;
}

/** SigLIP-so400m/14 of 384 pixels without its last block, where config.json has no `vision_config` at all. */
const SO400M: JsonObject = {
  hidden_size: 1152,
  image_size: 384,
  intermediate_size: 4304,
  num_attention_heads: 16,
  num_hidden_layers: 26,
  patch_size: 14,
};

/** Tiles along either side in the default resolutions, of 384 pixels each. */
const TILES = [1, 2, 3, 4, 5, 6];
const DEFAULT_RESOLUTIONS: readonly Resolution[] = TILES.flatMap((rows) =>
  TILES.map((columns): Resolution => [384 * rows, 384 * columns]),
);

/**
 * Reads config.json. A key that is not there has the default of the configuration classes of transformers 5.18
 * (models/llava_onevision, models/siglip, models/qwen2).
 * @param where path of the file, for messages.
 * @throws SpatialError CONFIG_INVALID for an ill-typed field, and for a structure that is not the family's.
 */
export function parseOneVisionConfig(config: JsonObject, where = 'config.json'): OneVisionConfig {
  const root = configFields(config, where);
  root.require('model_type', [MODEL_TYPE]);
  root.require('vision_feature_select_strategy', ['full']);
  root.require('projector_hidden_act', ['gelu']);
  root.require('multimodal_projector_bias', [true]);
  const vision = readSiglipTower(
    root.section('vision_config', SO400M),
    runDepthOf(root, 'vision_feature_layer', -1),
  );
  const text = root.section('text_config');
  text.require('model_type', ['qwen2']);
  const tieHead = root.boolean('tie_word_embeddings', false);
  return {
    decoder: readDecoderConfig(
      text,
      'qwen2',
      tieHead || text.boolean('tie_word_embeddings', false),
    ),
    vision,
    resolutions: readResolutions(root, 'image_grid_pinpoints', vision.imageSize),
    maxTiles: readMaxTiles(root),
    imageTokenId: tokenId(root, 'image', 151646),
    videoTokenId: tokenId(root, 'video', 151647),
  };
}

const tokenId = (root: ConfigFields, kind: 'image' | 'video', fallback: number): number =>
  root.integer(`${kind}_token_index`, root.integer(`${kind}_token_id`, fallback));

/** @param imageSize that every side has to be a multiple of. */
export function readResolutions(
  fields: ConfigFields,
  key: string,
  imageSize: number,
): readonly Resolution[] {
  const found: unknown = fields.object[key] ?? DEFAULT_RESOLUTIONS;
  const isSide = (side: unknown) => Number.isInteger(side) && Number(side) % imageSize === 0;
  const isResolution = (entry: unknown) =>
    Array.isArray(entry) && entry.length === 2 && entry.every((side) => isSide(side) && side > 0);
  if (Array.isArray(found) && found.length > 0 && found.every(isResolution)) return found;
  const expected = `a list of [height, width], multiples of image_size ${imageSize}`;
  throw invalidField(`${fields.where}.${key}`, expected, found);
}

function readMaxTiles(root: ConfigFields): number {
  const found = root.object['vision_aspect_ratio'] ?? 'anyres_max_9';
  const tiles = typeof found === 'string' ? /^anyres_max_([1-9]\d*)$/.exec(found)?.[1] : undefined;
  if (tiles !== undefined) return Number(tiles);
  throw invalidField(`${root.where}.vision_aspect_ratio`, '"anyres_max_N"', found);
}
