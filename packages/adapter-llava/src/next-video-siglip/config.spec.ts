import type { Shapes } from '@spatialsv/core/kit';
import { sizeOf } from '@spatialsv/core/kit';
import { siglip7B } from '../__fixtures__/published-configs.js';
import { parseNextVideoSiglipConfig } from './config.js';
import { parameterGroup } from './names.js';
import { storedShapes } from './tiny-checkpoint.js';

const countParameters = (shapes: Shapes) => {
  const totals = { vision: 0, projector: 0, 'language-model': 0, spatial: 0, head: 0 };
  for (const [name, shape] of Object.entries(shapes)) {
    const group = name === 'lm_head.weight' ? 'head' : parameterGroup(name);
    totals[group] += sizeOf(shape);
  }
  return totals;
};

const parse = (change: Record<string, unknown>) =>
  parseNextVideoSiglipConfig({ ...siglip7B, ...change });

describe('parseNextVideoSiglipConfig', () => {
  it('reads the published shape', () => {
    const { decoder, vision, ...rest } = parseNextVideoSiglipConfig(siglip7B);
    expect(decoder).toMatchObject({ layers: 28, heads: 28, kvHeads: 4, headDim: 128 });
    expect(decoder).toMatchObject({ qkvBias: true, rope: { theta: 1e6 } });
    expect(vision).toMatchObject({ storedDepth: 27, imageSize: 384, side: 27 });
    expect(vision.tower).toMatchObject({ depth: 26, width: 1152, heads: 16 });
    expect(vision.tower.mlp).toMatchObject({ hidden: 4304, activation: 'gelu-tanh' });
    const pooling = { mode: 'bilinear', stride: 2 };
    expect(rest).toEqual({ pooling, newline: 'grid', hasNewline: true });
  });

  it('drops every scaling of the rotary positions, as the original code does', () => {
    const { decoder } = parse({ rope_scaling: { type: 'yarn', factor: 4 } });
    expect(decoder.rope).toEqual({ theta: 1e6 });
  });

  it.each([
    ['spatial_unpad', 'frame', 'frame'],
    ['spatial_unpad', undefined, 'one_token'],
    ['spatial', undefined, 'no_token'],
    ['spatial', 'no_token', 'no_token'],
    ['flat', 'grid', 'no_token'],
    [undefined, 'grid', 'no_token'],
  ])('merged %s with newlines %s has them at %s', (merge, position, expected) => {
    const change = { mm_patch_merge_type: merge, mm_newline_position: position };
    expect(parse(change).newline).toBe(expected);
  });

  it.each([
    ['model_type', { model_type: 'llava_llama' }],
    ['mm_projector_type', { mm_projector_type: 'linear' }],
    ['mm_hidden_size', { mm_hidden_size: 1024 }],
    ['mm_spatial_pool_mode', { mm_spatial_pool_mode: 'conv' }],
    ['mm_spatial_pool_stride', { mm_spatial_pool_stride: 4 }],
    ['mm_newline_position', { mm_newline_position: 'row' }],
    ['mm_newline_position', { mm_patch_merge_type: 'spatial' }],
    ['mm_patch_merge_type', { mm_patch_merge_type: 'spatial_maxpool2x2' }],
    ['add_faster_video', { add_faster_video: true }],
    ['use_sliding_window', { use_sliding_window: true }],
    ['num_hidden_layers', { num_hidden_layers: 0 }],
  ])('refuses another %s', (field, change) => {
    const message = expect.stringContaining(`config.json.${field}:`);
    expect(() => parse(change)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message }),
    );
  });
});

describe('tensors of the published model', () => {
  const shapes = storedShapes(parseNextVideoSiglipConfig(siglip7B));

  it('have the published parameter counts', () => {
    expect(countParameters(shapes)).toMatchObject({
      vision: 397_747_744,
      projector: 16_984_576,
      'language-model': 7_070_619_136,
      head: 544_997_376,
    });
  });

  it('have the published names and shapes', () => {
    const tower = 'model.vision_tower.vision_tower.vision_model';
    expect(Object.keys(shapes)).toHaveLength(5 + 26 * 16 + 5 + 28 * 12 + 3);
    expect(shapes).toMatchObject({
      [`${tower}.embeddings.patch_embedding.weight`]: [1152, 3, 14, 14],
      [`${tower}.embeddings.patch_embedding.bias`]: [1152],
      [`${tower}.embeddings.position_embedding.weight`]: [729, 1152],
      [`${tower}.encoder.layers.25.mlp.fc2.weight`]: [1152, 4304],
      [`${tower}.post_layernorm.bias`]: [1152],
      'model.mm_projector.0.weight': [3584, 1152],
      'model.mm_projector.2.weight': [3584, 3584],
      'model.image_newline': [3584],
      'model.embed_tokens.weight': [152064, 3584],
      'model.layers.27.self_attn.k_proj.bias': [512],
      'lm_head.weight': [152064, 3584],
    });
    expect(shapes[`${tower}.encoder.layers.26.mlp.fc2.weight`]).toBeUndefined();
  });
});
