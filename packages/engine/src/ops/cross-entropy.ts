import { tf, type Tensor } from '../tfjs.js';

/**
 * Σᵢ wᵢ · (−log softmax(logitsᵢ)[targetᵢ]).
 * @param logits (n, K) float32. @param targets (n) int32 in [0, K). @param weights (n) float32, 0 for padded rows.
 * @returns scalar.
 */
export function crossEntropySum(logits: Tensor, targets: Tensor, weights: Tensor): Tensor {
  const classes = logits.shape[1]!;
  const hot = tf.oneHot(targets as tf.Tensor1D, classes);
  const picked = tf.sum(tf.mul(tf.logSoftmax(logits), hot), 1);
  return tf.neg(tf.sum(tf.mul(picked, weights)));
}
