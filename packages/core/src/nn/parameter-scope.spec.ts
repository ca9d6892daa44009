import { tf } from '@spatialsv/engine';
import { expectAllclose } from '../testing/index.js';
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

  describe('linear', () => {
    const random = (shape: number[], seed: number) => tf.randomNormal(shape, 0, 1, 'float32', seed);
    const weight = random([4, 3], 1);
    const bias = random([4], 2);
    const update = {
      'q.lora_A.weight': random([2, 3], 3),
      'q.lora_B.weight': random([4, 2], 4),
      'q.lora_scale': tf.scalar(0.7),
    };
    const x = random([2, 5, 3], 5);
    const values = (tensor: tf.Tensor) => [...tensor.dataSync()];

    it('adds a bias where there is one', () => {
      const plain = parameterScope({ 'q.weight': weight }).linear('q', x);
      const biased = parameterScope({ 'q.weight': weight, 'q.bias': bias }).linear('q', x);
      expect(biased.shape).toEqual([2, 5, 4]);
      const difference = values(tf.sub(biased, plain));
      expectAllclose(difference, values(tf.tile(bias, [10])), { atol: 1e-5 });
    });

    it('adds a low-rank update as a merged weight would, in value and every gradient', () => {
      const dy = random([2, 5, 4], 6);
      const [down, up] = [update['q.lora_A.weight'], update['q.lora_B.weight']];
      const apart = (w: tf.Tensor, a: tf.Tensor, b: tf.Tensor, input: tf.Tensor): tf.Tensor => {
        const given = { 'q.weight': w, 'q.bias': bias, ...update };
        const all = { ...given, 'q.lora_A.weight': a, 'q.lora_B.weight': b };
        return parameterScope(all).linear('q', input);
      };
      const merged = (w: tf.Tensor, a: tf.Tensor, b: tf.Tensor, input: tf.Tensor): tf.Tensor => {
        const product = tf.mul(tf.matMul(b as tf.Tensor2D, a as tf.Tensor2D), 0.7);
        return parameterScope({ 'q.weight': tf.add(w, product), 'q.bias': bias }).linear(
          'q',
          input,
        );
      };
      const inputs = [weight, down, up, x];
      const [found, expected] = [apart, merged].map((f) => f(weight, down, up, x));
      expectAllclose(values(found!), values(expected!), { atol: 1e-5 });
      const [gradients, others] = [apart, merged].map((f) => tf.grads(f)(inputs, dy));
      for (const [i, gradient] of gradients!.entries())
        expectAllclose(values(gradient), values(others![i]!), { rtol: 1e-5, atol: 1e-4 });
    });

    it('gives the rows of a layer that holds several, update included', () => {
      const scope = parameterScope({ 'q.weight': weight, 'q.bias': bias, ...update });
      const whole = scope.linear('q', x);
      const parts = [0, 1].map((first) => scope.linear('q', x, { first, count: 2 * first + 1 }));
      expectAllclose(values(tf.concat(parts, -1)), values(whole), { atol: 1e-5 });
    });

    it.each(Object.keys(update))('misses %s of an update', (name) => {
      const rest = Object.entries(update).filter(([key]) => key !== name);
      const scope = parameterScope({ 'q.weight': weight, ...Object.fromEntries(rest) });
      expect(() => scope.linear('q', x)).toThrow(
        expect.objectContaining({ code: 'WEIGHT_MISSING', message: expect.stringContaining(name) }),
      );
    });
  });
});
