import type { Shapes } from '@spatialsv/core/kit';
import { sizeOf } from '@spatialsv/core/kit';
import { wrongDefaults } from '@spatialsv/core/testing';
import defaults from '../__fixtures__/config-defaults.json' with { type: 'json' };
import { nextVideo7B } from '../__fixtures__/published-configs.js';
import { parameterGroup } from '../shared/native-names.js';
import { parseNextVideoConfig } from './config.js';
import { storedShapes } from './tiny-checkpoint.js';

const countParameters = (shapes: Shapes) => {
  const totals = { vision: 0, projector: 0, 'language-model': 0, spatial: 0, head: 0 };
  for (const [name, shape] of Object.entries(shapes)) {
    const group = name.endsWith('lm_head.weight') ? 'head' : parameterGroup(name);
    totals[group] += sizeOf(shape);
  }
  return totals;
};

describe('parseNextVideoConfig', () => {
  it('reads the published shape', () => {
    const { decoder, vision, ...rest } = parseNextVideoConfig(nextVideo7B);
    expect(decoder).toMatchObject({ layers: 32, heads: 32, kvHeads: 32, headDim: 128 });
    expect(decoder).toMatchObject({ hiddenSize: 4096, qkvBias: false, tieHead: false });
    expect(decoder.rope).toEqual({ theta: 10000, scaling: { kind: 'linear', factor: 2.5 } });
    expect(vision).toMatchObject({ storedDepth: 24, imageSize: 336, side: 24 });
    expect(vision.tower).toMatchObject({ depth: 23, width: 1024, heads: 16 });
    expect(rest).toEqual({
      pooling: { mode: 'average', stride: 2 },
      ...{ beginTokenId: 1, imageTokenId: 32001, videoTokenId: 32000 },
    });
  });

  it('reads the shape of transformers 5 as the same', () => {
    const { rope_scaling, ...text } = nextVideo7B.text_config;
    const modern = {
      ...nextVideo7B,
      multimodal_projector_bias: true,
      text_config: {
        ...text,
        rope_parameters: { rope_type: 'linear', factor: rope_scaling.factor, rope_theta: 10000 },
      },
    };
    expect(parseNextVideoConfig(modern)).toEqual(parseNextVideoConfig(nextVideo7B));
  });

  it('has the default of the configuration class for a key that is left out', () => {
    const { classes } = defaults;
    const tower = { hidden_size: 1024, image_size: 336, intermediate_size: 4096, patch_size: 14 };
    const whole = {
      ...classes['next-video'].defaults,
      text_config: { ...classes.llama.defaults, vocab_size: 32064 },
      vision_config: classes.clip.defaults,
    };
    const skipped = ['model_type', 'text_config', 'text_config.vocab_size', 'vision_config'];
    expect(wrongDefaults(whole, parseNextVideoConfig, skipped)).toEqual({});
    const { vision } = parseNextVideoConfig({ ...whole, vision_config: null });
    const { vision: published } = parseNextVideoConfig({
      ...whole,
      vision_config: { ...tower, num_attention_heads: 16, num_hidden_layers: 24 },
    });
    expect(vision).toEqual(published);
  });

  it.each([
    ['model_type', { model_type: 'llava_next' }],
    ['projector_hidden_act', { projector_hidden_act: 'relu' }],
    ['vision_feature_select_strategy', { vision_feature_select_strategy: 'full' }],
    ['vision_feature_layer', { vision_feature_layer: [-2, -5] }],
    ['spatial_pool_mode', { spatial_pool_mode: 'conv' }],
    ['video_token_index', { video_token_index: 32064 }],
    ['text_config.model_type', { text_config: { model_type: 'mistral' } }],
    ['text_config.num_hidden_layers', { text_config: { num_hidden_layers: 'many' } }],
    ['vision_config.model_type', { vision_config: { model_type: 'siglip_vision_model' } }],
  ])('refuses another %s', (field, change) => {
    expect(() => parseNextVideoConfig({ ...nextVideo7B, ...change })).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining(`config.json.${field}:`),
      }),
    );
  });
});

describe('tensors of the published model', () => {
  const shapes = storedShapes(parseNextVideoConfig(nextVideo7B));

  it('have the published parameter counts', () => {
    expect(countParameters(shapes)).toMatchObject({
      vision: 303_507_456,
      projector: 20_983_808,
      'language-model': 6_607_605_760,
      head: 131_334_144,
    });
  });

  it('have the published names and shapes', () => {
    expect(Object.keys(shapes)).toHaveLength(7 + 24 * 16 + 5 + 32 * 9 + 3);
    expect(shapes).toMatchObject({
      'vision_tower.vision_model.embeddings.class_embedding': [1024],
      'vision_tower.vision_model.embeddings.patch_embedding.weight': [1024, 3, 14, 14],
      'vision_tower.vision_model.embeddings.position_embedding.weight': [577, 1024],
      'vision_tower.vision_model.pre_layrnorm.bias': [1024],
      'vision_tower.vision_model.encoder.layers.23.self_attn.out_proj.bias': [1024],
      'vision_tower.vision_model.encoder.layers.0.layer_norm2.weight': [1024],
      'vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight': [4096, 1024],
      'vision_tower.vision_model.post_layernorm.weight': [1024],
      'multi_modal_projector.linear_1.weight': [4096, 1024],
      'multi_modal_projector.linear_2.bias': [4096],
      image_newline: [4096],
      'language_model.model.embed_tokens.weight': [32064, 4096],
      'language_model.model.layers.31.self_attn.k_proj.weight': [4096, 4096],
      'language_model.model.layers.31.mlp.down_proj.weight': [4096, 11008],
      'language_model.model.norm.weight': [4096],
      'language_model.lm_head.weight': [32064, 4096],
    });
  });
});
