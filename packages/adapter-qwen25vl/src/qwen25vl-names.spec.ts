import { config7B } from './__fixtures__/published-configs.js';
import { parseQwen25VlConfig } from './qwen25vl-config.js';
import { inMemoryName, parameterGroup, publishedName, qwen25VlShapes } from './qwen25vl-names.js';

describe('checkpoint names', () => {
  const names = Object.keys(qwen25VlShapes(parseQwen25VlConfig(config7B)));

  it('go to the in-memory scheme and back, one to one', () => {
    const inMemory = names.map(inMemoryName);
    expect(new Set(inMemory).size).toBe(names.length);
    expect(inMemory.map(publishedName)).toEqual(names);
    expect(names.map(publishedName)).toEqual(names);
  });

  it('follow the schemes of transformers', () => {
    expect(inMemoryName('visual.blocks.3.attn.qkv.bias')).toBe(
      'model.visual.blocks.3.attn.qkv.bias',
    );
    expect(inMemoryName('model.layers.0.mlp.up_proj.weight')).toBe(
      'model.language_model.layers.0.mlp.up_proj.weight',
    );
    expect(inMemoryName('lm_head.weight')).toBe('lm_head.weight');
  });

  it('fall into the three parameter groups', () => {
    expect(parameterGroup('visual.blocks.3.attn.qkv.bias')).toBe('vision');
    expect(parameterGroup('visual.merger.mlp.0.weight')).toBe('projector');
    expect(parameterGroup('model.norm.weight')).toBe('language-model');
    expect(parameterGroup('lm_head.weight')).toBe('language-model');
  });
});
