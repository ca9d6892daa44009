import { configFields, sizeOf } from '@spatialsv/core/kit';
import { parameterGroup } from '../shared/native-names.js';
import { llavaOneVision } from './adapter.js';
import { parseOneVisionConfig } from './config.js';
import { MODEL_TYPE } from './model-type.js';
import { oneVisionShapes } from './vision.js';

const vision_config = {
  hidden_size: 1152,
  image_size: 384,
  intermediate_size: 4304,
  model_type: 'siglip_vision_model',
  num_attention_heads: 16,
  num_hidden_layers: 26,
  patch_size: 14,
  vision_use_head: false,
};

/** In the shape of the published config.json of the 7B model. */
const config7B = {
  architectures: ['LlavaOnevisionForConditionalGeneration'],
  image_token_index: 151646,
  model_type: MODEL_TYPE,
  projector_hidden_act: 'gelu',
  text_config: {
    hidden_size: 3584,
    intermediate_size: 18944,
    model_type: 'qwen2',
    num_attention_heads: 28,
    num_hidden_layers: 28,
    num_key_value_heads: 4,
    rope_theta: 1000000.0,
    vocab_size: 152128,
  },
  tie_word_embeddings: false,
  video_token_index: 151647,
  vision_aspect_ratio: 'anyres_max_9',
  vision_config,
  vision_feature_layer: -1,
  vision_feature_select_strategy: 'full',
};

const config05B = {
  ...config7B,
  text_config: {
    ...config7B.text_config,
    ...{ hidden_size: 896, intermediate_size: 4864, num_attention_heads: 14 },
    ...{ num_hidden_layers: 24, num_key_value_heads: 2, vocab_size: 152000 },
    tie_word_embeddings: true,
  },
};

const count = (config: Readonly<Record<string, unknown>>) => {
  const totals = { vision: 0, projector: 0, 'language-model': 0, spatial: 0, head: 0 };
  for (const [name, shape] of Object.entries(oneVisionShapes(parseOneVisionConfig(config)))) {
    const group = name.endsWith('lm_head.weight') ? 'head' : parameterGroup(name);
    totals[group] += sizeOf(shape);
  }
  return totals;
};

describe('the published sizes', () => {
  it('have the parameter counts of the models of transformers', () => {
    // Without the norm behind the tower (2304), which is not read.
    const vision = 397_745_440;
    expect(count(config05B)).toMatchObject({
      ...{ vision, projector: 1_837_696, 'language-model': 494_090_112, head: 0 },
    });
    expect(count(config7B)).toMatchObject({
      ...{ vision, projector: 16_984_576, 'language-model': 7_070_848_512, head: 545_226_752 },
    });
  });

  it('have the published names and shapes', () => {
    const shapes = oneVisionShapes(parseOneVisionConfig(config7B));
    expect(Object.keys(shapes)).toHaveLength(765 - 2);
    expect(shapes).toMatchObject({
      'vision_tower.vision_model.embeddings.patch_embedding.weight': [1152, 3, 14, 14],
      'vision_tower.vision_model.embeddings.position_embedding.weight': [729, 1152],
      'vision_tower.vision_model.encoder.layers.25.self_attn.out_proj.bias': [1152],
      'vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight': [4304, 1152],
      'multi_modal_projector.linear_1.weight': [3584, 1152],
      'multi_modal_projector.linear_2.bias': [3584],
      image_newline: [3584],
      'language_model.model.embed_tokens.weight': [152128, 3584],
      'language_model.model.layers.27.self_attn.k_proj.bias': [512],
      'language_model.model.norm.weight': [3584],
      'language_model.lm_head.weight': [152128, 3584],
    });
  });
});

describe('parseOneVisionConfig', () => {
  it('has the defaults of the configuration classes', () => {
    const bare = parseOneVisionConfig({ model_type: MODEL_TYPE });
    expect(bare).toMatchObject({ imageTokenId: 151646, videoTokenId: 151647, maxTiles: 9 });
    expect(bare.vision).toMatchObject({ imageSize: 384, side: 27, storedDepth: 26 });
    expect(bare.decoder).toMatchObject({ hiddenSize: 4096, layers: 32, rope: { theta: 10000 } });
    expect(bare.resolutions).toHaveLength(36);
    expect(bare.resolutions[7]).toEqual([768, 768]);
    const empty = parseOneVisionConfig({
      ...{ model_type: MODEL_TYPE, vision_config: {} },
      image_grid_pinpoints: [[224, 448]],
    });
    expect(empty.vision).toMatchObject({ imageSize: 224, side: 14, storedDepth: 12 });
  });

  it('ties where either place says so, and reads ids under both names', () => {
    const read = (change: object) => parseOneVisionConfig({ ...config7B, ...change });
    expect(read({ tie_word_embeddings: true }).decoder.tieHead).toBe(true);
    expect(parseOneVisionConfig(config05B).decoder.tieHead).toBe(true);
    expect(read({}).decoder.tieHead).toBe(false);
    const { image_token_index, ...rest } = config7B;
    expect(parseOneVisionConfig({ ...rest, image_token_id: 5 }).imageTokenId).toBe(5);
    expect(configFields(config7B, '').integer('image_token_index')).toBe(image_token_index);
  });

  it.each([
    ['model_type', { model_type: 'llava_next' }],
    ['vision_feature_select_strategy', { vision_feature_select_strategy: 'default' }],
    ['vision_feature_layer', { vision_feature_layer: [-1, -2] }],
    ['projector_hidden_act', { projector_hidden_act: 'relu' }],
    ['multimodal_projector_bias', { multimodal_projector_bias: false }],
    ['vision_aspect_ratio', { vision_aspect_ratio: 'pad' }],
    ['image_grid_pinpoints', { image_grid_pinpoints: [[384, 400]] }],
    ['image_grid_pinpoints', { image_grid_pinpoints: [] }],
    ['text_config.model_type', { text_config: { ...config7B.text_config, model_type: 'llama' } }],
    ['vision_config.model_type', { vision_config: { ...vision_config, model_type: 'clip' } }],
    ['vision_config.hidden_size', { vision_config: { ...vision_config, hidden_size: 1150 } }],
  ])('refuses another %s', (field, change) => {
    expect(() => parseOneVisionConfig({ ...config7B, ...change })).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining(`config.json.${field}:`),
      }),
    );
  });

  it('is of its own family only', () => {
    expect(llavaOneVision.accepts(config7B)).toBe(true);
    expect(llavaOneVision.accepts({ model_type: 'llavaonevision1_5' })).toBe(false);
  });
});
