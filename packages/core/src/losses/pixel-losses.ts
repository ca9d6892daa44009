import { type Tensor, tf } from '@spatialsv/engine';
import type { LossConfig } from './loss-config.js';
import { absolute, keepValid, logConfidence, meanOver, norm, sumAll, weigh } from './masked.js';
import { dropOutliers } from './outlier-filter.js';

/** One task's maps: prediction and label (V, H, W) or (V, H, W, C), confidence, mask and weight of each pixel (V, H, W). */
export interface TaskMaps {
  readonly prediction: Tensor;
  readonly label: Tensor;
  readonly confidence: Tensor;
  readonly mask: Tensor;
  readonly weight?: Tensor;
}

/** How the error of one pixel is measured. */
export type PixelNorm = 'absolute' | 'joint' | 'split';

/**
 * First two terms of equation 5: L₂ and the confidence loss
 * L_conf = 1/|Ω| Σ_Ω (‖y − m‖·c − λ_c·log c) (eq. 10). Both are 0 when no pixel is valid.
 */
export function pixelLosses(
  config: LossConfig,
  maps: TaskMaps,
  pixelNorm: PixelNorm,
): { regression: Tensor; confidence: Tensor } {
  const residual = keepValid(tf.sub(maps.prediction, maps.label), maps.mask);
  const error = tf.mul(pixelError(residual, pixelNorm), maps.mask);
  const penalty = tf.mul(logConfidence(maps.confidence), config.confidenceWeight);
  const weighted = tf.mul(tf.sub(tf.mul(error, maps.confidence), penalty), maps.mask);
  const first = config.regression === 'l2' ? error : meanSquare(residual, maps.mask);
  return {
    regression: filteredMean(config, first, maps),
    confidence: filteredMean(config, weighted, maps),
  };
}

/** (V, H, W) error of each pixel. */
function pixelError(residual: Tensor, pixelNorm: PixelNorm): Tensor {
  if (pixelNorm === 'absolute') return absolute(residual);
  if (pixelNorm === 'joint') return norm(residual);
  const [origin, direction] = tf.split(residual, 2, -1) as [Tensor, Tensor];
  return tf.add(norm(origin), norm(direction));
}

/** Mean over the channels of the squared residual. */
function meanSquare(residual: Tensor, mask: Tensor): Tensor {
  const squared = tf.square(residual);
  return squared.rank === mask.rank ? squared : tf.mean(squared, -1);
}

/** Outliers are told by their values, whatever they weigh. */
function filteredMean(config: LossConfig, values: Tensor, { mask, weight }: TaskMaps): Tensor {
  if (config.outlierQuantile === null) return meanOver(weigh(values, weight), sumAll(mask));
  const kept = dropOutliers(config, config.outlierQuantile, values, mask);
  return meanOver(weigh(kept.values, weight), sumAll(kept.mask));
}
