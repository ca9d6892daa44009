import { wrongDefaults } from '@spatialsv/core/testing';
import defaults from './__fixtures__/config-defaults.json' with { type: 'json' };
import { parseInternVl3Config } from './internvl3-config.js';

const { classes, empty } = defaults;
const { model_type } = classes.root.defaults;

describe('a key that config.json leaves out, in the layout of transformers', () => {
  it('has the default of the configuration class', () => {
    const whole = {
      ...classes.root.defaults,
      text_config: classes.text.defaults,
      vision_config: classes.vision.defaults,
    };
    expect(wrongDefaults(whole, parseInternVl3Config, ['model_type'])).toEqual({});
  });

  it('has what an empty file stands for', () => {
    expect(parseInternVl3Config({ model_type })).toEqual(parseInternVl3Config(empty));
  });
});
