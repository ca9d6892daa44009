import {
  configFields,
  type DecoderConfig,
  invalidField,
  type JsonObject,
  readDecoderConfig,
} from '@spatialsv/core/kit';
import type { Pooling } from '../shared/pooling.js';
import { type FixedTower, readClipTower, runDepthOf } from '../shared/towers.js';
import { MODEL_TYPE } from './model-type.js';
import type { PromptTokens } from './prompt.js';

export interface NextVideoConfig extends PromptTokens {
  readonly decoder: DecoderConfig;
  readonly vision: FixedTower;
  /** Of the patches of a frame, before the projector. */
  readonly pooling: Pooling;
  readonly imageTokenId: number;
}

/** Sizes of a tower that config.json says nothing of, as in transformers' LlavaNextVideoConfig. */
const TOWER = {
  hidden_size: 1024,
  image_size: 336,
  intermediate_size: 4096,
  num_attention_heads: 16,
  num_hidden_layers: 24,
  patch_size: 14,
};

/**
 * Reads config.json of transformers 4.x and 5.x.
 * @param where path of the file, for messages.
 * @throws SpatialError CONFIG_INVALID for an ill-typed field, and for a structure that is not LLaVA-NeXT-Video's.
 */
export function parseNextVideoConfig(config: JsonObject, where = 'config.json'): NextVideoConfig {
  const root = configFields(config, where);
  root.require('model_type', [MODEL_TYPE]);
  root.require('projector_hidden_act', ['gelu']);
  root.require('multimodal_projector_bias', [true]);
  root.require('vision_feature_select_strategy', ['default']);
  root.require('spatial_pool_mode', ['average', 'max']);
  const text = root.section('text_config');
  text.require('model_type', ['llama']);
  const isTied = root.boolean('tie_word_embeddings', false);
  const decoder = readDecoderConfig(
    text,
    'llama',
    isTied || text.boolean('tie_word_embeddings', false),
  );
  const tower = root.child('vision_config') ?? configFields(TOWER, `${where}.vision_config`);
  const vision = readClipTower(tower, runDepthOf(root, 'vision_feature_layer', -2));
  const tokenId = (key: string, fallback: number) => {
    const id = root.integer(`${key}_token_index`, root.integer(`${key}_token_id`, fallback));
    if (id < decoder.vocabularySize) return id;
    throw invalidField(
      `${where}.${key}_token_index`,
      `an id below vocab_size ${decoder.vocabularySize}`,
      id,
    );
  };
  return {
    decoder,
    vision,
    pooling: {
      mode: (config['spatial_pool_mode'] ?? 'average') as Pooling['mode'],
      stride: root.positive('spatial_pool_stride', 2),
    },
    beginTokenId: text.integer('bos_token_id', 1),
    imageTokenId: tokenId('image', 32001),
    videoTokenId: tokenId('video', 32000),
  };
}
