import { cellParameterGroup, cellShapes, sizeOf } from '@spatialsv/core/kit';
import { llavaOneVision15 } from './adapter.js';
import { parseOneVision15Config } from './config.js';
import { MODEL_TYPE } from './model-type.js';

/** In the shape of the published config.json of the 4B model. */
const config4B = {
  architectures: ['LLaVAOneVision1_5_ForConditionalGeneration'],
  image_token_id: 151655,
  model_type: MODEL_TYPE,
  text_config: {
    attention_bias: false,
    attention_dropout: 0.0,
    head_dim: 128,
    hidden_act: 'silu',
    hidden_size: 2560,
    initializer_range: 0.02,
    intermediate_size: 9728,
    layer_types: Array(36).fill('full_attention'),
    max_position_embeddings: 262144,
    max_window_layers: 36,
    model_type: 'LLaVAOneVision1_5_text',
    num_attention_heads: 32,
    num_hidden_layers: 36,
    num_key_value_heads: 8,
    rms_norm_eps: 1e-6,
    rope_scaling: null,
    rope_theta: 5000000,
    sliding_window: null,
    use_cache: true,
    use_sliding_window: false,
    vocab_size: 151936,
  },
  video_token_id: 151656,
  vision_config: {
    depth: 24,
    embed_dim: 1024,
    hidden_act: 'gelu',
    hidden_size: 1024,
    in_channels: 3,
    intermediate_size: 4096,
    layer_norm_eps: 1e-5,
    model_type: 'rice_vit',
    num_heads: 16,
    patch_size: 14,
    spatial_merge_size: 2,
    temporal_patch_size: 1,
    text_hidden_size: 2560,
  },
  vision_end_token_id: 151653,
  vision_start_token_id: 151652,
  vocab_size: 152064,
};

const config8B = {
  ...config4B,
  text_config: {
    ...config4B.text_config,
    hidden_size: 4096,
    intermediate_size: 12288,
    max_position_embeddings: 32768,
    rope_theta: 1000000,
  },
  vision_config: { ...config4B.vision_config, text_hidden_size: 4096 },
};

const count = (config: Readonly<Record<string, unknown>>) => {
  const { vision, decoder } = parseOneVision15Config(config);
  const totals = { vision: 0, projector: 0, 'language-model': 0, spatial: 0, head: 0 };
  for (const [name, shape] of Object.entries(cellShapes(vision, decoder))) {
    const group = name === 'lm_head.weight' ? 'head' : cellParameterGroup(name);
    totals[group] += sizeOf(shape);
  }
  return totals;
};

describe('the published sizes', () => {
  it('have the published parameter counts', () => {
    const vision = 302_914_592;
    expect(count(config4B)).toMatchObject({
      ...{ vision, projector: 27_271_680 },
      ...{ 'language-model': 4_022_468_096, head: 388_956_160 },
    });
    expect(count(config8B)).toMatchObject({
      ...{ vision, projector: 33_564_672 },
      ...{ 'language-model': 7_568_405_504, head: 622_329_856 },
    });
  });

  it('have the published names and shapes', () => {
    const { vision, decoder } = parseOneVision15Config(config4B);
    const shapes = cellShapes(vision, decoder);
    expect(Object.keys(shapes)).toHaveLength(5 + 24 * 12 + 6 + 36 * 11 + 3);
    expect(shapes).toMatchObject({
      'visual.patch_embed.proj.weight': [1024, 3, 14, 14],
      'visual.class_embedding': [1024],
      'visual.class_pos_emb': [1, 32],
      'visual.pre_layernorm.bias': [1024],
      'visual.blocks.23.norm2.bias': [1024],
      'visual.blocks.0.attn.qkv.weight': [3072, 1024],
      'visual.blocks.0.attn.proj.bias': [1024],
      'visual.blocks.7.mlp.fc1.weight': [4096, 1024],
      'visual.blocks.7.mlp.fc2.bias': [1024],
      'visual.merger.ln_q.bias': [1024],
      'visual.merger.mlp.0.weight': [4096, 4096],
      'visual.merger.mlp.2.weight': [2560, 4096],
      'model.embed_tokens.weight': [151936, 2560],
      'model.layers.35.self_attn.q_proj.weight': [4096, 2560],
      'model.layers.35.self_attn.k_norm.weight': [128],
      'model.layers.35.self_attn.o_proj.weight': [2560, 4096],
      'model.norm.weight': [2560],
      'lm_head.weight': [151936, 2560],
    });
    expect(shapes['model.layers.0.self_attn.q_proj.bias']).toBeUndefined();
  });
});

describe('parseOneVision15Config', () => {
  it('reads the published shape', () => {
    const { decoder, vision } = parseOneVision15Config(config4B);
    expect(decoder).toMatchObject({ heads: 32, kvHeads: 8, headDim: 128, qkNorm: true });
    expect(decoder).toMatchObject({ qkvBias: false, tieHead: false, rope: { theta: 5e6 } });
    expect(vision.tower).toMatchObject({ depth: 24, width: 1024, cellSide: 2 });
    expect(parseOneVision15Config(config8B).decoder.rope.theta).toBe(1e6);
  });

  it('has the defaults of the published classes, with the decoder at either place', () => {
    const bare = { model_type: MODEL_TYPE };
    expect(parseOneVision15Config(bare)).toEqual(parseOneVision15Config(config4B));
    expect(parseOneVision15Config({ ...bare, rope_theta: 7 }).decoder.rope.theta).toBe(7);
  });

  it('gives the norms of blocks the epsilon that their class has written out', () => {
    const vision_config = { ...config4B.vision_config, layer_norm_eps: 1e-3 };
    const { vision } = parseOneVision15Config({ ...config4B, vision_config });
    expect(vision.tower).toMatchObject({ norm: { epsilon: 1e-5 }, preNorm: { epsilon: 1e-3 } });
    expect(vision.mergerNorm.epsilon).toBe(1e-3);
  });

  const text = (change: object) => ({ text_config: { ...config4B.text_config, ...change } });
  const vision = (change: object) => ({ vision_config: { ...config4B.vision_config, ...change } });

  it.each([
    ['model_type', { model_type: 'qwen2_5_vl' }],
    ['text_config.hidden_size', text({ hidden_size: '2560' })],
    ['text_config.num_attention_heads', text({ num_key_value_heads: 5 })],
    ['text_config.use_sliding_window', text({ use_sliding_window: true })],
    [
      'text_config.rope_scaling.rope_type',
      text({ rope_scaling: { rope_type: 'yarn', factor: 2 } }),
    ],
    ['vision_config.text_hidden_size', text({ hidden_size: 4096 })],
    ['vision_config.hidden_act', vision({ hidden_act: 'silu' })],
    ['vision_config.temporal_patch_size', vision({ temporal_patch_size: 2 })],
    ['vision_config.hidden_size', vision({ hidden_size: 1030 })],
  ])('refuses another %s', (field, change) => {
    expect(() => parseOneVision15Config({ ...config4B, ...change })).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining(`config.json.${field}:`),
      }),
    );
  });

  it('is of its own family only', () => {
    expect(llavaOneVision15.accepts(config4B)).toBe(true);
    expect(llavaOneVision15.accepts({ model_type: 'llava_onevision' })).toBe(false);
  });
});
