import { EngineError } from '../errors.js';
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
 * @param x (N, h, w, in) float32. @param weight (out, in, kh, kw), or (kh, kw, S, out, in) for S filters that take turns: image
 *   n is convolved with filter n mod S. @param bias (out) or (S, out), optional.
 * @returns (N, oh, ow, out) with oh = ⌊(h + 2·padding − kh) / stride⌋ + 1, and ow alike.
 * @throws EngineError PROGRAM_INVALID unless the images are whole turns of S.
 */
export function convolution(
  x: Tensor,
  weight: Tensor,
  bias?: Tensor,
  { stride = 1, padding = 0 }: ConvolutionOptions = {},
): Tensor {
  if (weight.rank === 5) assertWholeTurns(x, weight.shape[2]!);
  const inputs = { x, weight, ...(bias === undefined ? {} : { bias }) };
  return fused('Convolution', inputs, { stride, padding }, () =>
    weight.rank === 5
      ? byTurns(x, weight, bias, { stride, padding })
      : convolvePlain(x, weight, bias, { stride, padding }),
  );
}

function assertWholeTurns(x: Tensor, filters: number): void {
  if (x.shape[0]! % filters === 0) return;
  throw new EngineError({
    code: 'PROGRAM_INVALID',
    message: `convolution: ${filters} filters take turns, expected a multiple of ${filters} images, found ${x.shape[0]}`,
    hint: 'Put the images of all filters side by side along the first axis: the first image of each filter, then the second of each.',
  });
}

type Options = Required<ConvolutionOptions>;

function convolvePlain(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | undefined,
  { stride, padding }: Options,
): Tensor {
  const filter = tf.transpose(weight, [2, 3, 1, 0]) as tf.Tensor4D;
  // TensorFlow's backend has no gradient where padding is given in numbers.
  const around: [number, number] = [padding, padding];
  const padded = padding === 0 ? x : tf.pad(x, [[0, 0], around, around, [0, 0]]);
  const y = tf.conv2d(padded as tf.Tensor4D, filter, stride, 'valid');
  return bias === undefined ? y : tf.add(y, bias);
}

/** Each filter with its own images. */
function byTurns(x: Tensor, weight: Tensor, bias: Tensor | undefined, options: Options): Tensor {
  const sets = weight.shape[2]!;
  const images = tf.unstack(tf.reshape(x, [-1, sets, ...x.shape.slice(1)]), 1);
  const weights = tf.unstack(tf.transpose(weight, [2, 3, 4, 0, 1]));
  const biases = bias === undefined ? [] : tf.unstack(bias);
  const results = images.map((image, i) => convolvePlain(image, weights[i]!, biases[i], options));
  return tf.reshape(tf.stack(results, 1), [x.shape[0]!, ...results[0]!.shape.slice(1)]);
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
      bias: () => biasGradient(y, weight),
    };
  },
});

/** Sums dy over all but the channels and, where several filters take turns, these. */
function biasGradient(dy: Tensor, weight: Tensor): Tensor {
  if (weight.rank === 4) return tf.sum(dy, [0, 1, 2]);
  const [sets, outputs] = weight.shape.slice(2) as [number, number];
  return tf.sum(tf.reshape(dy, [dy.shape[0]! / sets, sets, -1, outputs]), [0, 2]);
}
