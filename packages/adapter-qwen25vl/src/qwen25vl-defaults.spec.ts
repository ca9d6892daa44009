import { wrongDefaults } from '@spatialsv/core/testing';
import defaults from './__fixtures__/config-defaults.json' with { type: 'json' };
import { parseQwen25VlConfig } from './qwen25vl-config.js';

const { root, text, vision } = defaults.classes;

/** The classes' defaults written out; the width of the decoder and of what the projector gives do not agree in them. */
const whole = {
  ...root.defaults,
  text_config: text.defaults,
  vision_config: { ...vision.defaults, out_hidden_size: text.defaults.hidden_size },
};

describe('a key that config.json leaves out', () => {
  it('has the default of the configuration class', () => {
    const skipped = ['model_type', 'text_config', 'vision_config', 'vision_config.out_hidden_size'];
    expect(wrongDefaults(whole, parseQwen25VlConfig, skipped)).toEqual({});
  });

  it('has it in the flat shape too', () => {
    const { model_type, rope_parameters, ...fields } = text.defaults;
    const flat = { ...root.defaults, ...fields, vision_config: whole.vision_config };
    const skipped = ['model_type', 'vision_config', 'vision_config.out_hidden_size'];
    expect(parseQwen25VlConfig(flat)).toEqual(parseQwen25VlConfig(whole));
    expect(wrongDefaults(flat, parseQwen25VlConfig, skipped)).toEqual({});
  });

  it('has it where the width of the decoder is that of the projector', () => {
    const sizes = { hidden_size: 3584, num_attention_heads: 28, num_key_value_heads: 4 };
    const agreeing = {
      ...whole,
      text_config: { ...text.defaults, ...sizes },
      vision_config: vision.defaults,
    };
    const skipped = [
      'model_type',
      'text_config',
      ...Object.keys(sizes).map((key) => `text_config.${key}`),
    ];
    expect(wrongDefaults(agreeing, parseQwen25VlConfig, skipped)).toEqual({});
  });
});
