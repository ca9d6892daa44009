import { parameterGroup, publishedName } from './native-names.js';

describe('names of transformers', () => {
  it.each([
    [
      'model.vision_tower.vision_model.encoder.layers.0.mlp.fc1.bias',
      'vision_tower.vision_model.encoder.layers.0.mlp.fc1.bias',
    ],
    [
      'vision_tower.encoder.layers.0.mlp.fc1.bias',
      'vision_tower.vision_model.encoder.layers.0.mlp.fc1.bias',
    ],
    ['model.vision_tower.pre_layrnorm.weight', 'vision_tower.vision_model.pre_layrnorm.weight'],
    ['model.multi_modal_projector.linear_1.bias', 'multi_modal_projector.linear_1.bias'],
    ['model.image_newline', 'image_newline'],
    [
      'model.language_model.layers.3.mlp.up_proj.weight',
      'language_model.model.layers.3.mlp.up_proj.weight',
    ],
    ['language_model.norm.weight', 'language_model.model.norm.weight'],
    ['lm_head.weight', 'language_model.lm_head.weight'],
  ])('%s is published as %s', (name, published) => {
    expect(publishedName(name)).toBe(published);
    expect(publishedName(published)).toBe(published);
  });

  it('fall into the three parameter groups', () => {
    expect(parameterGroup('vision_tower.vision_model.pre_layrnorm.weight')).toBe('vision');
    expect(parameterGroup('multi_modal_projector.linear_2.bias')).toBe('projector');
    expect(parameterGroup('image_newline')).toBe('projector');
    expect(parameterGroup('language_model.model.norm.weight')).toBe('language-model');
    expect(parameterGroup('language_model.lm_head.weight')).toBe('language-model');
  });
});
