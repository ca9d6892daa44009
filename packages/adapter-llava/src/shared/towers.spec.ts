import { CLIP_NAMES, configFields, towerShapes } from '@spatialsv/core/kit';
import { isIdle, readClipTower, readSiglipTower, runDepthOf } from './towers.js';

const fields = (object: Record<string, unknown>) => configFields(object, 'config.json');
const all = (depth: number) => depth;

describe('towers', () => {
  it('have the defaults of the configuration classes', () => {
    const shared = { width: 768, heads: 12, depth: 12 };
    const clip = readClipTower(fields({}), all);
    expect(clip).toMatchObject({ storedDepth: 12, imageSize: 224, side: 7 });
    expect(clip.tower).toMatchObject({
      ...shared,
      mlp: { hidden: 3072, activation: 'quick-gelu' },
      patch: { size: 32, bias: false },
      preNorm: { epsilon: 1e-5 },
    });
    const siglip = readSiglipTower(fields({}), all);
    expect(siglip).toMatchObject({ imageSize: 224, side: 14 });
    expect(siglip.tower).toMatchObject({
      ...shared,
      mlp: { activation: 'gelu-tanh' },
      patch: { size: 16, bias: true },
      norm: { epsilon: 1e-6 },
    });
    expect(Object.keys(towerShapes(siglip.tower, CLIP_NAMES))).not.toContain('pre_layrnorm.bias');
  });

  it('run as many blocks as the asked state needs', () => {
    const run = (state: unknown) => runDepthOf(fields({ layer: state }), 'layer', -2)(24);
    expect([undefined, -1, -2, 24, 3].map(run)).toEqual([23, 24, 23, 24, 3]);
    for (const state of [0, 25, -25, 1.5, [-2, -5], '-2']) {
      expect(() => run(state)).toThrow(
        expect.objectContaining({ message: expect.stringContaining('config.json.layer') }),
      );
    }
  });

  it('know what never runs', () => {
    const tower = readClipTower(fields({ num_hidden_layers: 24 }), () => 23);
    const idle = (name: string) => isIdle(tower, name);
    expect(idle('encoder.layers.22.mlp.fc1.bias')).toBe(false);
    expect(idle('encoder.layers.23.mlp.fc1.bias')).toBe(true);
    expect(idle('encoder.layers.24.mlp.fc1.bias')).toBe(false);
    expect(idle('post_layernorm.weight')).toBe(true);
    expect(idle('pre_layrnorm.weight')).toBe(false);
  });

  it.each([
    ['model_type', { model_type: 'dinov2' }],
    ['hidden_act', { hidden_act: 'gelu' }],
    ['hidden_size', { hidden_size: 50 }],
    ['num_channels', { num_channels: 4 }],
  ])('refuse another %s', (key, change) => {
    expect(() => readClipTower(fields(change), all)).toThrow(
      expect.objectContaining({ message: expect.stringContaining(`config.json.${key}`) }),
    );
  });
});
