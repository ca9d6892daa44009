import { type Tensor, tf } from '../tfjs.js';
import { fused } from './fused.js';

/**
 * y = x · Wᵀ + b, with the weight as checkpoints store it.
 * @param x (…, in) float32. @param weight (out, in). @param bias (out), optional.
 * @returns (…, out) float32.
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  const inputs = x.shape[x.rank - 1]!;
  const outputs = weight.shape[0]!;
  const rows = tf.reshape(x, [-1, inputs]);
  const y =
    bias === undefined
      ? tf.matMul(rows as tf.Tensor2D, weight as tf.Tensor2D, false, true)
      : fused('Linear', { x: rows, weight, bias }, {}, () =>
          tf.add(tf.matMul(rows as tf.Tensor2D, weight as tf.Tensor2D, false, true), bias),
        );
  return tf.reshape(y, [...x.shape.slice(0, -1), outputs]);
}

tf.registerGradient({
  kernelName: 'Linear',
  inputsToSave: ['x', 'weight'],
  gradFunc: (dy, saved) => {
    const [x, weight] = saved as [tf.Tensor2D, tf.Tensor2D];
    const gradient = dy as tf.Tensor2D;
    return {
      x: () => tf.matMul(gradient, weight),
      weight: () => tf.matMul(gradient, x, true, false),
      bias: () => tf.sum(gradient, 0),
    };
  },
});
