import { cellParameterGroup, sizeOf } from '@spatialsv/core/kit';
import { config3B, config7B } from './__fixtures__/published-configs.js';
import { qwen25Vl } from './plugin.js';
import { parseQwen25VlConfig, qwen25VlShapes } from './qwen25vl-config.js';

const invalid = (field: string) =>
  expect.objectContaining({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining(`config.json.${field}:`),
  });

describe('parseQwen25VlConfig', () => {
  it('reads the published flat shape', () => {
    const { decoder, vision, imageTokenId } = parseQwen25VlConfig(config3B);
    expect(decoder).toMatchObject({ layers: 36, heads: 16, kvHeads: 2, headDim: 128 });
    expect(decoder).toMatchObject({ tieHead: true, qkvBias: true, rmsNormEps: 1e-6 });
    expect(decoder.rope).toEqual({ theta: 1e6, sections: [16, 24, 24] });
    expect(vision.tower).toMatchObject({
      ...{ depth: 32, width: 1280, heads: 16 },
      patch: { size: 14, channels: 3, frames: 2, bias: false },
      windows: { side: 4, wholeBlocks: [7, 15, 23, 31] },
    });
    expect(imageTokenId).toBe(151655);
  });

  it('reads the nested and the 5.x shape as the same', () => {
    const { vision_config, rope_scaling, rope_theta, model_type, ...text } = config7B;
    const { image_token_id, video_token_id, vision_start_token_id, vision_end_token_id } = config7B;
    const ids = { image_token_id, video_token_id, vision_start_token_id, vision_end_token_id };
    const outer = { ...ids, model_type, vision_config };
    const nested = { ...outer, text_config: { ...text, rope_scaling, rope_theta } };
    const { in_chans, ...vision } = vision_config;
    const modern = {
      ...outer,
      vision_config: { ...vision, in_channels: in_chans, rope_parameters: { rope_theta: 10000 } },
      text_config: {
        ...text,
        rope_parameters: { ...rope_scaling, rope_type: 'default', rope_theta },
      },
    };
    const flat = parseQwen25VlConfig(config7B);
    expect(parseQwen25VlConfig(nested)).toEqual(flat);
    expect(parseQwen25VlConfig(modern)).toEqual(flat);
  });

  it('reads rope_scaling where rope_parameters are there too', () => {
    const rope_parameters = { rope_theta: 5e5, rope_type: 'default', mrope_section: [8, 28, 28] };
    const both = parseQwen25VlConfig({ ...config3B, rope_parameters });
    expect(both.decoder.rope).toEqual({ theta: 1e6, sections: [16, 24, 24] });
    const { rope_theta, ...rest } = config3B;
    for (const rope_scaling of [null, {}, undefined]) {
      const { decoder } = parseQwen25VlConfig({ ...rest, rope_scaling, rope_parameters });
      expect(decoder.rope).toEqual({ theta: 5e5, sections: [8, 28, 28] });
    }
    const plain = parseQwen25VlConfig({ ...rest, rope_scaling: undefined });
    expect(plain.decoder.rope).toEqual({ theta: 1e6, sections: [16, 24, 24] });
  });

  it('ties where either place says so', () => {
    const tie = (outer?: boolean, inner?: boolean) => {
      const { model_type, vision_config, ...text } = config3B;
      const text_config = { ...text, tie_word_embeddings: inner };
      const config = { model_type, vision_config, text_config, tie_word_embeddings: outer };
      return parseQwen25VlConfig(config).decoder.tieHead;
    };
    expect([
      tie(),
      tie(false, false),
      tie(false, true),
      tie(true, false),
      tie(undefined, true),
    ]).toEqual([false, false, true, true, true]);
  });

  it('takes indices of blocks beyond the depth for none', () => {
    const vision_config = { ...config3B.vision_config, depth: 8 };
    const { vision } = parseQwen25VlConfig({ ...config3B, vision_config });
    expect(vision.tower.windows?.wholeBlocks).toEqual([7]);
  });

  it.each([
    ['model_type', { model_type: 'qwen2_vl' }],
    ['head_dim', { head_dim: 64 }],
    ['layer_types', { layer_types: ['full_attention', 'sliding_attention'] }],
    ['hidden_act', { hidden_act: 'gelu' }],
    ['use_sliding_window', { use_sliding_window: true }],
    ['num_hidden_layers', { num_hidden_layers: '36' }],
    ['num_attention_heads', { num_key_value_heads: 3 }],
    ['vision_config', { vision_config: [] }],
    [
      'vision_config.hidden_act',
      { vision_config: { ...config3B.vision_config, hidden_act: 'gelu' } },
    ],
    [
      'vision_config.window_size',
      { vision_config: { ...config3B.vision_config, window_size: 100 } },
    ],
    ['vision_config.out_hidden_size', { vision_config: config7B.vision_config }],
    ['rope_scaling.rope_type', { rope_scaling: { ...config3B.rope_scaling, rope_type: 'yarn' } }],
    ['rope_scaling.mrope_section', { rope_scaling: { type: 'mrope', mrope_section: [16, 24] } }],
  ])('refuses another %s', (field, change) => {
    expect(() => parseQwen25VlConfig({ ...config3B, ...change })).toThrow(invalid(field));
  });

  it('recognises its own family only', () => {
    expect(qwen25Vl.accepts(config3B)).toBe(true);
    expect(qwen25Vl.accepts({ model_type: 'qwen3_vl' })).toBe(false);
    expect(qwen25Vl.accepts({})).toBe(false);
  });
});

describe('qwen25VlShapes', () => {
  const count = (config: Readonly<Record<string, unknown>>) => {
    const totals = { vision: 0, projector: 0, 'language-model': 0, spatial: 0, head: 0 };
    for (const [name, shape] of Object.entries(qwen25VlShapes(parseQwen25VlConfig(config)))) {
      const group = name === 'lm_head.weight' ? 'head' : cellParameterGroup(name);
      totals[group] += sizeOf(shape);
    }
    return totals;
  };

  it('has the published parameter counts', () => {
    expect(count(config3B)).toMatchObject({
      vision: 631_975_680,
      projector: 36_708_608,
      'language-model': 3_085_938_688,
      head: 0,
    });
    expect(count(config7B)).toMatchObject({
      vision: 631_975_680,
      projector: 44_574_464,
      'language-model': 7_070_619_136,
      head: 544_997_376,
    });
  });

  it('has the published names and shapes', () => {
    const shapes = qwen25VlShapes(parseQwen25VlConfig(config3B));
    expect(Object.keys(shapes)).toHaveLength(824);
    expect(shapes).toMatchObject({
      'visual.patch_embed.proj.weight': [1280, 3, 2, 14, 14],
      'visual.blocks.31.norm2.weight': [1280],
      'visual.blocks.0.attn.qkv.weight': [3840, 1280],
      'visual.blocks.0.attn.proj.bias': [1280],
      'visual.blocks.7.mlp.up_proj.weight': [3420, 1280],
      'visual.blocks.7.mlp.down_proj.weight': [1280, 3420],
      'visual.merger.ln_q.weight': [1280],
      'visual.merger.mlp.0.weight': [5120, 5120],
      'visual.merger.mlp.2.weight': [2048, 5120],
      'model.embed_tokens.weight': [151936, 2048],
      'model.layers.35.self_attn.k_proj.weight': [256, 2048],
      'model.layers.35.self_attn.v_proj.bias': [256],
      'model.layers.35.mlp.down_proj.weight': [2048, 11008],
      'model.norm.weight': [2048],
    });
    expect(shapes['lm_head.weight']).toBeUndefined();
  });
});
