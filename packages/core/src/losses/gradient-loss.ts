import { type Tensor, tf } from '@spatialsv/engine';
import type { LossConfig } from './loss-config.js';
import { absolute, everySecond, keepValid, logConfidence, sumAll, weigh } from './masked.js';
import type { TaskMaps } from './pixel-losses.js';

/**
 * Depth-gradient loss (eq. 11), averaged over scales that keep every 2^s-th row and column:
 * Σ_{k∈{x,y}} 1/|Ω| Σ_Ω (|∇_k Δ|·c − λ_c·log c) with Δ = m − y, c of the right or lower pixel, both neighbours valid.
 * A scale without a valid pixel contributes 0.
 * @param maps prediction, label, confidence and mask, all (V, H, W).
 * Source: VGGT, training/loss.py, gradient_loss. Deviations: the log term counts at valid pairs only, unless
 * `gradientLogMasked` is off.
 */
export function gradientLoss(config: LossConfig, maps: TaskMaps): Tensor {
  const { mask, confidence, weight } = maps;
  const residual = keepValid(tf.sub(maps.prediction, maps.label), mask);
  let scaled: ScaleMaps = { residual, confidence, mask, ...(weight && { weight }) };
  let total = gradientAtScale(config, scaled);
  for (let scale = 1; scale < config.gradientScales; scale++) {
    scaled = coarser(scaled);
    total = tf.add(total, gradientAtScale(config, scaled));
  }
  return tf.div(total, config.gradientScales);
}

/** Maps of one scale. */
type ScaleMaps = { readonly residual: Tensor } & Pick<TaskMaps, 'confidence' | 'mask' | 'weight'>;

const coarser = ({ residual, confidence, mask, weight }: ScaleMaps): ScaleMaps => ({
  residual: everySecond(residual),
  confidence: everySecond(confidence),
  mask: everySecond(mask),
  ...(weight && { weight: everySecond(weight) }),
});

function gradientAtScale(
  config: LossConfig,
  { residual, confidence, mask, weight }: ScaleMaps,
): Tensor {
  const pixels = sumAll(mask);
  const [x, y] = [2, 1].map((axis) => {
    const pairs = tf.mul(after(mask, axis), before(mask, axis));
    const step = tf.sub(after(residual, axis), before(residual, axis));
    const terms = pairTerms(config, step, after(confidence, axis), pairs);
    const both = weight && tf.mul(after(weight, axis), before(weight, axis));
    const sum = sumAll(weigh(terms, both));
    const count = config.gradientCount === 'pixels' ? pixels : sumAll(pairs);
    return tf.div(sum, tf.maximum(count, 1));
  }) as [Tensor, Tensor];
  return tf.mul(tf.add(x, y), tf.cast(tf.greater(pixels, 0), 'float32'));
}

/** |∇Δ|·c − λ_c·log c of each pair. */
function pairTerms(config: LossConfig, step: Tensor, confidence: Tensor, pairs: Tensor): Tensor {
  const magnitude = tf.mul(absolute(step), pairs);
  const bounded =
    config.gradientClamp === null ? magnitude : tf.minimum(magnitude, config.gradientClamp);
  if (!config.gradientConfidence) return bounded;
  const log = tf.mul(logConfidence(confidence), config.confidenceWeight);
  const penalty = config.gradientLogMasked ? tf.mul(log, pairs) : log;
  return tf.sub(tf.mul(bounded, confidence), penalty);
}

/** The right (axis 2) or lower (axis 1) pixels of all neighbour pairs. */
function after(x: Tensor, axis: number): Tensor {
  return part(x, axis, 1);
}

/** The left or upper pixels of all neighbour pairs. */
function before(x: Tensor, axis: number): Tensor {
  return part(x, axis, 0);
}

function part(x: Tensor, axis: number, from: number): Tensor {
  const begin = x.shape.map((_, i) => (i === axis ? from : 0));
  const size = x.shape.map((length, i) => (i === axis ? length - 1 : length));
  return tf.slice(x, begin, size);
}
