import { tf } from '@spatialsv/engine';
import { parameterScope } from './parameter-scope.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('parameterScope', () => {
  const root = () => parameterScope({ 'model.layers.3.mlp.up_proj.weight': tf.zeros([2, 3]) });

  it('opens nested paths', () => {
    const mlp = root().scope('model').scope('layers.3.mlp');
    expect(mlp.path).toBe('model.layers.3.mlp');
    expect(mlp.has('up_proj.weight')).toBe(true);
    expect(mlp.get('up_proj.weight', [2, 3]).shape).toEqual([2, 3]);
  });

  it('names the full path of a missing weight and the nearest one', () => {
    const missing = expect.objectContaining({
      code: 'WEIGHT_MISSING',
      message: expect.stringContaining('model.layers.3.mlp.gate_proj.weight'),
      hint: expect.stringContaining('model.layers.3.mlp.up_proj.weight'),
    });
    expect(() => root().scope('model.layers.3').get('mlp.gate_proj.weight')).toThrow(missing);
  });

  it('names expected and found shapes', () => {
    const wrong = expect.objectContaining({
      code: 'SHAPE_MISMATCH',
      message: 'model.layers.3.mlp.up_proj.weight: expected (3, 2), found (2, 3)',
    });
    expect(() => root().get('model.layers.3.mlp.up_proj.weight', [3, 2])).toThrow(wrong);
  });
});
