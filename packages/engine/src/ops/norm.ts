import { type Tensor, tf } from '../tfjs.js';
import { fused, runKernel } from './fused.js';

/**
 * y = x / √(mean(x²) + ε) · weight over the last axis (no mean subtraction, no bias).
 * @param x (…, C) float32. @param weight (C).
 */
export function rmsNorm(x: Tensor, weight: Tensor, epsilon: number): Tensor {
  return fused('RmsNorm', { x, weight }, { epsilon }, () => {
    const meanSquare = tf.mean(tf.square(x), -1, true);
    return tf.mul(tf.mul(x, tf.rsqrt(tf.add(meanSquare, epsilon))), weight);
  });
}

/**
 * y = (x − mean) / √(var + ε) · weight + bias over the last axis, with the biased variance.
 * @param x (…, C) float32. @param weight (C). @param bias (C).
 */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor, epsilon: number): Tensor {
  return fused('LayerNorm', { x, weight, bias }, { epsilon }, () => {
    const centred = tf.sub(x, tf.mean(x, -1, true));
    const variance = tf.mean(tf.square(centred), -1, true);
    return tf.add(tf.mul(tf.mul(centred, tf.rsqrt(tf.add(variance, epsilon))), weight), bias);
  });
}

tf.registerGradient({
  kernelName: 'RmsNorm',
  inputsToSave: ['x', 'weight'],
  gradFunc: (dy, saved, attributes) => {
    const [x, weight] = saved as [Tensor, Tensor];
    const inputs = { dy: dy as Tensor, x, weight };
    const [dx, dWeight] = runKernel<Tensor[]>('RmsNormGradient', inputs, attributes);
    return { x: () => dx!, weight: () => dWeight! };
  },
});

tf.registerGradient({
  kernelName: 'LayerNorm',
  inputsToSave: ['x', 'weight'],
  gradFunc: (dy, saved, attributes) => {
    const [x, weight] = saved as [Tensor, Tensor];
    const inputs = { dy: dy as Tensor, x, weight };
    const [dx, dWeight, dBias] = runKernel<Tensor[]>('LayerNormGradient', inputs, attributes);
    return { x: () => dx!, weight: () => dWeight!, bias: () => dBias! };
  },
});
