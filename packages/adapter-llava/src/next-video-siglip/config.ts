import {
  type ConfigFields,
  configFields,
  type DecoderConfig,
  invalidField,
  type JsonObject,
  readDecoderConfig,
} from '@spatialsv/core/kit';
import type { Pooling } from '../shared/pooling.js';
import { type FixedTower, readSiglipTower } from '../shared/towers.js';
import type { NewlinePosition } from '../shared/video.js';
import { MODEL_TYPE } from './model-type.js';

export const POOL_MODES = ['bilinear', 'average', 'max'] as const;
export const NEWLINES = ['grid', 'frame', 'one_token', 'no_token'] as const;

export interface NextVideoSiglipConfig {
  readonly decoder: DecoderConfig;
  readonly vision: FixedTower;
  /** Of the projector's rows of a frame. */
  readonly pooling: Pooling;
  readonly newline: NewlinePosition;
  /** Whether checkpoints hold a newline. */
  readonly hasNewline: boolean;
}

/** SigLIP-so400m/14 of 384 pixels, whose sizes the original code has no place for in config.json. */
const SO400M = {
  hidden_size: 1152,
  image_size: 384,
  intermediate_size: 4304,
  num_attention_heads: 16,
  num_hidden_layers: 27,
  patch_size: 14,
};

/**
 * Reads config.json of the original code (LLaVA-VL/LLaVA-NeXT, llava/model/llava_arch.py), whose defaults hold for absent
 * keys. A tower of another size has a `vision_config` with the keys of transformers' SiglipVisionConfig.
 * @param where path of the file, for messages.
 * @throws SpatialError CONFIG_INVALID for an ill-typed field, and for a structure that is not the family's.
 */
export function parseNextVideoSiglipConfig(
  config: JsonObject,
  where = 'config.json',
): NextVideoSiglipConfig {
  const root = configFields(config, where);
  root.require('model_type', [MODEL_TYPE, 'llava']);
  root.require('mm_projector_type', ['mlp2x_gelu']);
  root.require('mm_spatial_pool_stride', [2]);
  root.require('add_faster_video', [false]);
  root.require('mm_use_im_start_end', [false]);
  const vision = readTower(root);
  // The original code drops every scaling of the rotary positions.
  const decoder = readDecoderConfig(
    configFields({ ...config, rope_scaling: null }, where),
    'qwen2',
  );
  root.require('mm_patch_merge_type', ['flat', 'spatial', 'spatial_unpad']);
  root.require('mm_spatial_pool_mode', POOL_MODES);
  root.require('mm_newline_position', ['one_token', ...NEWLINES]);
  const mergeType = config['mm_patch_merge_type'] ?? 'flat';
  const asked = (config['mm_newline_position'] ?? 'one_token') as NewlinePosition;
  return {
    decoder,
    vision,
    pooling: {
      mode: (config['mm_spatial_pool_mode'] ?? 'bilinear') as Pooling['mode'],
      stride: 2,
    },
    hasNewline: mergeType === 'spatial_unpad',
    newline: newlineOf(root, mergeType, asked),
  };
}

function readTower(root: ConfigFields): FixedTower {
  const given = root.child('vision_config');
  const place = given?.where ?? `${root.where} (SigLIP-so400m)`;
  const fields = configFields({ ...SO400M, ...given?.object }, place);
  // The last block is taken away when the tower is made.
  const vision = readSiglipTower(fields, (storedDepth) => storedDepth - 1);
  if (root.positive('mm_hidden_size', vision.tower.width) === vision.tower.width) return vision;
  const expected = `the width ${vision.tower.width} of the vision tower`;
  throw invalidField(`${root.where}.mm_hidden_size`, expected, root.object['mm_hidden_size']);
}

/** Frames that are merged flat have no newlines; one behind the video is left out where there is none. */
function newlineOf(
  { where }: ConfigFields,
  mergeType: unknown,
  asked: NewlinePosition,
): NewlinePosition {
  if (mergeType === 'flat') return 'no_token';
  if (mergeType === 'spatial_unpad' || asked === 'no_token') return asked;
  if (asked === 'one_token') return 'no_token';
  const expected = '"one_token" or "no_token" without a newline (mm_patch_merge_type "spatial")';
  throw invalidField(`${where}.mm_newline_position`, expected, asked);
}
