import { configFields } from './config-fields.js';
import { type DecoderFamily, readDecoderConfig } from './decoder-fields.js';

const read = (object: Record<string, unknown>, family: DecoderFamily = 'qwen2') =>
  readDecoderConfig(configFields(object, 'config.json'), family);

describe('readDecoderConfig', () => {
  it('takes the defaults of the configuration classes', () => {
    expect(read({}, 'llama')).toEqual({
      ...{ hiddenSize: 4096, layers: 32, heads: 32, kvHeads: 32, headDim: 128 },
      ...{ intermediateSize: 11008, vocabularySize: 32000, rmsNormEps: 1e-6 },
      ...{ qkvBias: false, qkNorm: false, tieHead: false, rope: { theta: 10000 } },
    });
    const qwen = { vocabularySize: 151936, intermediateSize: 22016, kvHeads: 32 };
    expect(read({}, 'qwen2')).toMatchObject({ ...qwen, headDim: 128, qkvBias: true });
    const small = { hidden_size: 1024, num_attention_heads: 32 };
    expect(read(small, 'qwen3')).toMatchObject({ ...qwen, headDim: 128, qkNorm: true });
    expect(read(small, 'qwen2')).toMatchObject({ headDim: 32 });
  });

  it('gives every head its own keys where that number is null, and in Llama where it is absent', () => {
    const heads = { num_attention_heads: 8, hidden_size: 64 };
    expect(read({ ...heads, num_key_value_heads: null }).kvHeads).toBe(8);
    expect(read(heads, 'llama').kvHeads).toBe(8);
  });

  it.each([
    ['rope_scaling', { rope_scaling: { type: 'linear', factor: 2.5 } }],
    ['rope_type', { rope_scaling: { rope_type: 'linear', factor: 2.5 } }],
    ['rope_parameters', { rope_parameters: { rope_type: 'linear', factor: 2.5 } }],
    [
      'an empty rope_scaling',
      { rope_scaling: {}, rope_parameters: { type: 'linear', factor: 2.5 } },
    ],
    [
      'both, of which rope_scaling wins',
      {
        rope_scaling: { type: 'linear', factor: 2.5 },
        rope_parameters: { rope_type: 'linear', factor: 8, rope_theta: 7 },
      },
    ],
    ['a stray type beside', { type: 'dynamic', rope_scaling: { type: 'linear', factor: 2.5 } }],
  ])('reads linear scaling by %s', (_, change) => {
    const { rope } = read({ ...change, rope_theta: 5000 });
    expect(rope).toEqual({ theta: 5000, scaling: { kind: 'linear', factor: 2.5 } });
  });

  it('reads plain and dynamic positions; the base inside rope_parameters wins', () => {
    const nested = { rope_parameters: { rope_type: 'default', rope_theta: 1e6 }, rope_theta: 5 };
    expect(read(nested).rope).toEqual({ theta: 1e6 });
    const dynamic = { rope_scaling: { type: 'dynamic', factor: 2 }, max_position_embeddings: 99 };
    const scaling = { kind: 'dynamic', factor: 2, maxPositions: 99 };
    expect(read(dynamic).rope).toEqual({ theta: 10000, scaling });
  });

  it.each<[string, Record<string, unknown>, DecoderFamily?]>([
    ['hidden_act', { hidden_act: 'gelu' }],
    ['use_sliding_window', { use_sliding_window: true }],
    ['layer_types', { layer_types: ['full_attention', 'sliding_attention'] }],
    ['attention_bias', { attention_bias: true }, 'llama'],
    ['mlp_bias', { mlp_bias: true }, 'llama'],
    ['num_attention_heads', { num_key_value_heads: 5 }],
    ['head_dim', { head_dim: 7 }],
    ['head_dim', { hidden_size: 100 }],
    ['rope_scaling.type', { rope_scaling: { type: 'yarn', factor: 2 } }],
    ['rope_parameters.rope_type', { rope_parameters: { rope_type: 'llama3', factor: 2 } }],
    ['rope_scaling.factor', { rope_scaling: { type: 'linear' } }],
    ['num_hidden_layers', { num_hidden_layers: '28' }],
  ])('refuses another %s', (field, change, family = 'qwen2') => {
    const message = expect.stringContaining(`config.json.${field}:`);
    expect(() => read(change, family)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message }),
    );
  });
});
