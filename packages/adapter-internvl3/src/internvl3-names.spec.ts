import { sizeOf } from '@spatialsv/core/kit';
import { inMemoryName, nativeNames } from './__fixtures__/native-names.js';
import { nativeConfigOf, originalConfigOf } from './__fixtures__/published-configs.js';
import { parseInternVl3Config } from './internvl3-config.js';
import { internVl3Shapes, parameterGroup, publishedName } from './internvl3-names.js';

const untied = { tie_word_embeddings: false };
const original = internVl3Shapes(parseInternVl3Config(originalConfigOf('1B')));
const native = internVl3Shapes(parseInternVl3Config({ ...nativeConfigOf('1B'), ...untied }));

describe('checkpoint names', () => {
  const names = Object.keys(native);

  it('of transformers go to the in-memory scheme and back, one to one', () => {
    const inMemory = names.map(inMemoryName);
    expect(new Set(inMemory).size).toBe(names.length);
    expect(inMemory.map(publishedName)).toEqual(names);
    expect(names.map(publishedName)).toEqual(names);
    expect(inMemoryName('language_model.model.norm.weight')).toBe(
      'model.language_model.norm.weight',
    );
    expect(inMemoryName('language_model.lm_head.weight')).toBe('lm_head.weight');
  });

  it('of the original layout hold the tensors of the other', () => {
    const converted = Object.entries(original).flatMap(([name, [rows, ...rest]]) => {
      const parts = nativeNames(name);
      return parts.map((part) => [part, [rows! / parts.length, ...rest]] as const);
    });
    expect(Object.fromEntries(converted)).toEqual(native);
  });

  it('fall into the three parameter groups', () => {
    const groups = [
      ['vision_model.encoder.layers.3.attn.qkv.bias', 'vision'],
      ['vision_tower.embeddings.cls_token', 'vision'],
      ['mlp1.0.weight', 'projector'],
      ['multi_modal_projector.linear_2.bias', 'projector'],
      ['language_model.model.norm.weight', 'language-model'],
      ['language_model.lm_head.weight', 'language-model'],
    ] as const;
    for (const [name, group] of groups) expect(parameterGroup(name)).toBe(group);
  });
});

describe('internVl3Shapes', () => {
  const count = (config: Readonly<Record<string, unknown>>) => {
    const totals = { vision: 0, projector: 0, 'language-model': 0, spatial: 0, head: 0 };
    for (const [name, shape] of Object.entries(internVl3Shapes(parseInternVl3Config(config)))) {
      const group = name.endsWith('lm_head.weight') ? 'head' : parameterGroup(name);
      totals[group] += sizeOf(shape);
    }
    return totals;
  };

  it.each([
    ['1B', 4_482_816, 493_798_016, 135_899_904],
    ['2B', 8_662_016, 1_543_311_872, 232_971_264],
    ['8B', 27_540_480, 7_069_221_376, 543_599_616],
  ] as const)('have the published parameter counts, %s', (size, projector, decoder, head) => {
    for (const config of [originalConfigOf(size), { ...nativeConfigOf(size), ...untied }]) {
      const expected = { vision: 304_012_288, projector, 'language-model': decoder, head };
      expect(count(config)).toMatchObject(expected);
    }
  });

  it('have the published names and shapes', () => {
    expect(Object.keys(original)).toHaveLength(637);
    expect(original).toMatchObject({
      'vision_model.embeddings.class_embedding': [1, 1, 1024],
      'vision_model.embeddings.patch_embedding.weight': [1024, 3, 14, 14],
      'vision_model.embeddings.patch_embedding.bias': [1024],
      'vision_model.embeddings.position_embedding': [1, 1025, 1024],
      'vision_model.encoder.layers.23.attn.qkv.weight': [3072, 1024],
      'vision_model.encoder.layers.23.attn.qkv.bias': [3072],
      'vision_model.encoder.layers.0.attn.proj.weight': [1024, 1024],
      'vision_model.encoder.layers.0.ls1': [1024],
      'vision_model.encoder.layers.0.norm2.bias': [1024],
      'vision_model.encoder.layers.0.mlp.fc1.weight': [4096, 1024],
      'mlp1.0.weight': [4096],
      'mlp1.1.weight': [896, 4096],
      'mlp1.3.weight': [896, 896],
      'language_model.model.embed_tokens.weight': [151674, 896],
      'language_model.model.layers.23.self_attn.k_proj.bias': [128],
      'language_model.lm_head.weight': [151674, 896],
    });
    expect(native).toMatchObject({
      'vision_tower.embeddings.cls_token': [1, 1, 1024],
      'vision_tower.embeddings.patch_embeddings.projection.weight': [1024, 3, 14, 14],
      'vision_tower.encoder.layer.23.attention.q_proj.bias': [1024],
      'vision_tower.encoder.layer.0.lambda_2': [1024],
      'vision_tower.encoder.layer.0.layernorm_after.bias': [1024],
      'multi_modal_projector.layer_norm.weight': [4096],
      'multi_modal_projector.linear_1.weight': [896, 4096],
    });
  });
});
