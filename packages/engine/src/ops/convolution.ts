import { type Tensor, tf } from '../tfjs.js';
import { fused, runKernel } from './fused.js';

export interface ConvolutionOptions {
  /** Step between outputs (default 1). */
  readonly stride?: number;
  /** Rows and columns of zeros on every side (default 0). */
  readonly padding?: number;
}

/**
 * Two-dimensional convolution, with the weight as checkpoints store it.
 * @param x (N, h, w, in) float32. @param weight (out, in, kh, kw). @param bias (out), optional.
 * @returns (N, oh, ow, out) with oh = ⌊(h + 2·padding − kh) / stride⌋ + 1, and ow alike.
 */
export function convolution(
  x: Tensor,
  weight: Tensor,
  bias?: Tensor,
  { stride = 1, padding = 0 }: ConvolutionOptions = {},
): Tensor {
  const inputs = { x, weight, ...(bias === undefined ? {} : { bias }) };
  return fused('Convolution', inputs, { stride, padding }, () => {
    const filter = tf.transpose(weight, [2, 3, 1, 0]) as tf.Tensor4D;
    // TensorFlow's backend has no gradient where padding is given in numbers.
    const around: [number, number] = [padding, padding];
    const padded = padding === 0 ? x : tf.pad(x, [[0, 0], around, around, [0, 0]]);
    const y = tf.conv2d(padded as tf.Tensor4D, filter, stride, 'valid');
    return bias === undefined ? y : tf.add(y, bias);
  });
}

tf.registerGradient({
  kernelName: 'Convolution',
  inputsToSave: ['x', 'weight'],
  gradFunc: (dy, saved, attributes) => {
    const [x, weight] = saved as [Tensor, Tensor];
    const y = dy as Tensor;
    const ofInput = { ...attributes, inShape: x.shape };
    const ofWeight = { ...attributes, weightShape: weight.shape };
    return {
      x: () => runKernel('ConvolutionInputGradient', { dy: y, weight }, ofInput),
      weight: () => runKernel('ConvolutionWeightGradient', { x, dy: y }, ofWeight),
      bias: () => tf.sum(y, [0, 1, 2]),
    };
  },
});
