/** Sums over valid pixels that stay finite and accurate in float32, with zero gradients where nothing is to be learnt. */
import { type Tensor, tf } from '@spatialsv/engine';

/** Smallest squared norm that is told from zero; its root adds 1e-15 to a norm. */
const TINY = 1e-30;
/** Confidences are > 1; the bound only keeps the logarithm of a foreign confidence finite. */
const SMALLEST_CONFIDENCE = 1e-6;

/** Σx, one axis after the other: partial sums stay short, so float32 loses no digits on a million pixels. */
export function sumAll(x: Tensor): Tensor {
  let sum = x;
  while (sum.rank > 0) sum = tf.sum(sum, -1);
  return sum;
}

/** Σx / max(count, 1): 0 when nothing is counted. */
export function meanOver(x: Tensor, count: Tensor): Tensor {
  return tf.div(sumAll(x), tf.maximum(count, 1));
}

/** Values times their weights, where they have any. */
export const weigh = (values: Tensor, weight: Tensor | undefined): Tensor =>
  weight === undefined ? values : tf.mul(values, weight);

/** |x| whose gradient at 0 is 0. */
export const absolute = (x: Tensor): Tensor => tf.mul(x, tf.sign(x));

/** ‖x‖₂ over the last axis; the gradient of a zero vector is 0. */
export function norm(x: Tensor): Tensor {
  return tf.sqrt(tf.maximum(tf.sum(tf.square(x), -1), TINY));
}

/** √x for x ≥ 0, with gradient 0 at 0. */
export const safeSqrt = (x: Tensor): Tensor => tf.sqrt(tf.maximum(x, TINY));

export const logConfidence = (confidence: Tensor): Tensor =>
  tf.log(tf.maximum(confidence, SMALLEST_CONFIDENCE));

/**
 * x where the mask is 1 and 0 elsewhere, also where x is not a number there.
 * @param x (V, H, W) or (V, H, W, C). @param mask (V, H, W) float32 0 or 1.
 */
export function keepValid(x: Tensor, mask: Tensor): Tensor {
  const full =
    x.rank === mask.rank ? mask : tf.tile(tf.expandDims(mask, -1), [1, 1, 1, x.shape[3]!]);
  return tf.where(tf.greater(full, 0.5), x, tf.zerosLike(x));
}

/**
 * Every second row and column from the first, (V, H, W) → (V, ⌈H/2⌉, ⌈W/2⌉); by padding and reshaping, because a
 * strided slice has no gradient in tfjs.
 */
export function everySecond(x: Tensor): Tensor {
  const [views, height, width] = x.shape as [number, number, number];
  const rows = Math.ceil(height / 2);
  const columns = Math.ceil(width / 2);
  const even = tf.pad(x, [
    [0, 0],
    [0, 2 * rows - height],
    [0, 2 * columns - width],
  ]);
  const pairs = tf.reshape(even, [views, rows, 2, columns, 2]);
  const first = tf.slice(pairs, [0, 0, 0, 0, 0], [views, rows, 1, columns, 1]);
  return tf.reshape(first, [views, rows, columns]);
}
