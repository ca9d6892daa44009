import { wrongDefaults } from '@spatialsv/core/testing';
import defaults from './__fixtures__/config-defaults.json' with { type: 'json' };
import { parseNextVideoConfig } from './config.js';

const { classes, empty } = defaults;
const { model_type } = classes.root.defaults;
const whole = {
  ...classes.root.defaults,
  text_config: classes.text.defaults,
  vision_config: classes.vision.defaults,
};

/** The placeholders' default ids lie beyond the default vocabulary: one of the two has to be given. */
describe('a key that config.json leaves out', () => {
  const vocab_size = 32064;

  it('has the default of the configuration class, where the vocabulary is given', () => {
    const config = { ...whole, text_config: { ...whole.text_config, vocab_size } };
    // The tower of an absent vision_config is another one: see below.
    const skipped = ['model_type', 'text_config', 'text_config.vocab_size', 'vision_config'];
    expect(wrongDefaults(config, parseNextVideoConfig, skipped)).toEqual({});
  });

  it('has it where the placeholders are given', () => {
    const ids = { image_token_index: 5, video_token_index: 6 };
    const skipped = ['model_type', 'vision_config', ...Object.keys(ids)];
    expect(wrongDefaults({ ...whole, ...ids }, parseNextVideoConfig, skipped)).toEqual({});
  });

  it('has what an empty file stands for', () => {
    const text_config = { ...empty.text_config, vocab_size };
    expect(parseNextVideoConfig({ model_type, text_config: { vocab_size } })).toEqual(
      parseNextVideoConfig({ ...empty, text_config }),
    );
  });
});
