import { tf, type Tensor } from '../tfjs.js';

/**
 * y = x · Wᵀ + b, with the weight as checkpoints store it.
 * @param x (…, in) float32. @param weight (out, in). @param bias (out), optional.
 * @returns (…, out) float32.
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  const inputs = x.shape[x.rank - 1]!;
  const outputs = weight.shape[0]!;
  const rows = tf.reshape(x, [-1, inputs]) as tf.Tensor2D;
  const product = tf.matMul(rows, weight as tf.Tensor2D, false, true);
  const y = bias === undefined ? product : tf.add(product, bias);
  return tf.reshape(y, [...x.shape.slice(0, -1), outputs]);
}
