import { type Tensor, tf } from '../tfjs.js';
import { fused, runKernel } from './fused.js';

/**
 * Σᵢ wᵢ · (−log softmax(logitsᵢ)[targetᵢ]).
 * @param logits (n, K) float32. @param targets (n) int32 in [0, K). @param weights (n) float32, 0 for padded rows;
 *   targets and weights are data, not differentiated.
 * @returns scalar.
 */
export function crossEntropySum(logits: Tensor, targets: Tensor, weights: Tensor): Tensor {
  return fused('CrossEntropySum', { logits, targets, weights }, {}, () => {
    const hot = tf.oneHot(targets as tf.Tensor1D, logits.shape[1]!);
    const picked = tf.sum(tf.mul(tf.logSoftmax(logits), hot), 1);
    return tf.neg(tf.sum(tf.mul(picked, weights)));
  });
}

tf.registerGradient({
  kernelName: 'CrossEntropySum',
  inputsToSave: ['logits', 'targets', 'weights'],
  gradFunc: (dy, saved) => {
    const [logits, targets, weights] = saved as [Tensor, Tensor, Tensor];
    const scaled = tf.mul(weights, dy as Tensor);
    return {
      logits: () => runKernel('CrossEntropyGradient', { logits, targets, weights: scaled }),
      targets: () => tf.zerosLike(targets),
      weights: () => tf.zerosLike(weights),
    };
  },
});
