import { wrongDefaults } from '@spatialsv/core/testing';
import defaults from './__fixtures__/config-defaults.json' with { type: 'json' };
import { parseOneVisionConfig } from './config.js';

const { classes, empty } = defaults;
const { model_type } = classes.root.defaults;

/** The default resolutions are not multiples of the tower's default image: one of the two has to be given. */
describe('a key that config.json leaves out', () => {
  const whole = (image_size: number, resolutions: readonly (readonly number[])[]) => ({
    ...classes.root.defaults,
    image_grid_pinpoints: resolutions,
    text_config: classes.text.defaults,
    vision_config: { ...classes.vision.defaults, image_size },
  });

  it('has the default of the configuration class, where the size of images is given', () => {
    const config = whole(384, classes.root.defaults.image_grid_pinpoints);
    // The tower of an absent vision_config is another one: see below.
    const skipped = ['model_type', 'vision_config', 'vision_config.image_size'];
    expect(wrongDefaults(config, parseOneVisionConfig, skipped)).toEqual({});
  });

  it('has it where the resolutions are given', () => {
    const skipped = ['model_type', 'vision_config', 'image_grid_pinpoints'];
    const config = whole(classes.vision.defaults.image_size, [[448, 224]]);
    expect(wrongDefaults(config, parseOneVisionConfig, skipped)).toEqual({});
  });

  it('has what an empty file stands for', () => {
    expect(parseOneVisionConfig({ model_type })).toEqual(parseOneVisionConfig(empty));
  });
});
