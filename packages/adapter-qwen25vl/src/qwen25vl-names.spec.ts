import { cellParameterGroup, inMemoryCellName, publishedCellName } from '@spatialsv/core/kit';
import { config7B } from './__fixtures__/published-configs.js';
import { parseQwen25VlConfig, qwen25VlShapes } from './qwen25vl-config.js';

describe('checkpoint names', () => {
  const names = Object.keys(qwen25VlShapes(parseQwen25VlConfig(config7B)));

  it('go to the in-memory scheme and back, one to one', () => {
    const inMemory = names.map(inMemoryCellName);
    expect(new Set(inMemory).size).toBe(names.length);
    expect(inMemory.map(publishedCellName)).toEqual(names);
    expect(names.map(publishedCellName)).toEqual(names);
  });

  it('follow the schemes of transformers', () => {
    expect(inMemoryCellName('visual.blocks.3.attn.qkv.bias')).toBe(
      'model.visual.blocks.3.attn.qkv.bias',
    );
    expect(inMemoryCellName('model.layers.0.mlp.up_proj.weight')).toBe(
      'model.language_model.layers.0.mlp.up_proj.weight',
    );
    expect(inMemoryCellName('lm_head.weight')).toBe('lm_head.weight');
  });

  it('fall into the three parameter groups', () => {
    expect(cellParameterGroup('visual.blocks.3.attn.qkv.bias')).toBe('vision');
    expect(cellParameterGroup('visual.merger.mlp.0.weight')).toBe('projector');
    expect(cellParameterGroup('model.norm.weight')).toBe('language-model');
    expect(cellParameterGroup('lm_head.weight')).toBe('language-model');
  });
});
