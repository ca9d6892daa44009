import { matchesName } from './name-pattern.js';

describe('matchesName', () => {
  it.each([
    ['model.norm.weight', 'model.norm.weight'],
    ['model.layers.*.mlp.up_proj.weight', 'model.layers.31.mlp.up_proj.weight'],
    ['model.layers.1*.**', 'model.layers.12.mlp.up_proj.weight'],
    ['**', 'lm_head.weight'],
    ['**.weight', 'model.norm.weight'],
    ['**.weight', 'weight'],
    ['model.**.weight', 'model.weight'],
    ['**.*_proj.lora_?.weight', 'model.q_proj.lora_?.weight'],
    ['spatial.**', 'spatial.depth.fc.bias'],
  ])('%s fits %s', (pattern, name) => {
    expect(matchesName(pattern, name)).toBe(true);
  });

  it.each([
    ['model.norm', 'model.norm.weight'],
    ['model.*.weight', 'model.layers.3.weight'],
    ['*', 'lm_head.weight'],
    ['model.layers.1.**', 'model.layers.12.mlp.up_proj.weight'],
    ['**.weight', 'model.norm.bias'],
    ['modelXnorm.weight', 'model.norm.weight'],
    ['a.**.b', 'a.c'],
  ])('%s does not fit %s', (pattern, name) => {
    expect(matchesName(pattern, name)).toBe(false);
  });
});
