import { type Tensor, tf } from '@spatialsv/engine';
import type { LossConfig } from './loss-config.js';
import { sumAll } from './masked.js';

/** Halvings of the value range: values within 1e-7 of the range of the threshold may fall on either side. */
const HALVINGS = 24;

type FilterConfig = Pick<LossConfig, 'outlierMinimum' | 'outlierClamp'>;

/**
 * Values and mask with the largest values left out: those not below the element of rank round(q·(n − 1)) of the n
 * valid ones, provided that more than `outlierMinimum` are valid and would remain; otherwise unchanged.
 * @param values (V, H, W), 0 where masked. @param mask (V, H, W) 0 or 1.
 * Source: VGGT, training/loss.py, filter_by_quantile. Deviations: the rank is found by bisection of the value range
 * instead of sorting, so that the program needs no value-dependent control flow.
 */
export function dropOutliers(
  config: FilterConfig,
  quantile: number,
  values: Tensor,
  mask: Tensor,
): { values: Tensor; mask: Tensor } {
  // Nothing can be left out of so few, and most of the program would be the search for it.
  if (values.size <= config.outlierMinimum) return { values: tf.mul(values, mask), mask };
  const keep = tf.customGrad((x) => ({
    value: keptMask(config, quantile, x as Tensor, mask),
    gradFunc: (dy: Tensor) => tf.zerosLike(dy),
  }))(values);
  const active = tf.cast(tf.greater(sumAll(mask), config.outlierMinimum), 'float32');
  const clamped = tf.minimum(values, config.outlierClamp);
  const chosen = tf.add(tf.mul(active, clamped), tf.mul(tf.sub(1, active), values));
  return { values: tf.mul(chosen, keep), mask: keep };
}

/** 1 at the valid values that stay. */
function keptMask(config: FilterConfig, quantile: number, values: Tensor, mask: Tensor): Tensor {
  const count = sumAll(mask);
  const valid = tf.mul(tf.minimum(values, config.outlierClamp), mask);
  // Masked pixels are put above every threshold, so that counting needs no mask.
  const counted = tf.add(valid, tf.mul(tf.sub(1, mask), 2 * config.outlierClamp));
  const rank = tf.round(tf.mul(tf.sub(count, 1), quantile));
  const kept = upTo(counted, largestBelowRank(counted, rank, tf.max(valid)));
  const applies = tf.mul(
    tf.cast(tf.greater(count, config.outlierMinimum), 'float32'),
    tf.cast(tf.greater(sumAll(kept), config.outlierMinimum), 'float32'),
  );
  return tf.add(tf.mul(applies, kept), tf.mul(tf.sub(1, applies), mask));
}

/** The largest threshold found with at most `rank` values ≤ it: just below the element of that rank. */
function largestBelowRank(values: Tensor, rank: Tensor, highest: Tensor): Tensor {
  let low = tf.sub(tf.min(values), 1);
  let width = tf.sub(highest, low);
  for (let step = 0; step < HALVINGS; step++) {
    width = tf.mul(width, 0.5);
    const middle = tf.add(low, width);
    const fits = tf.lessEqual(tf.sum(upTo(values, middle)), rank);
    low = tf.where(fits, middle, low);
  }
  return low;
}

const upTo = (values: Tensor, threshold: Tensor): Tensor =>
  tf.cast(tf.lessEqual(values, threshold), 'float32');
