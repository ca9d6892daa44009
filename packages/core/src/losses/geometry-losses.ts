import { type Tensor, tf } from '@spatialsv/engine';
import { SpatialError } from '../errors.js';
import type { GeometryPrediction } from '../heads/predict-geometry.js';
import { gradientLoss } from './gradient-loss.js';
import type { LossConfig } from './loss-config.js';
import { normalLoss } from './normal-loss.js';
import { pixelLosses, type TaskMaps } from './pixel-losses.js';

/** Labels of V views at the size of the predictions, float32. Masks are 0 or 1; masked label values are ignored. */
export type GeometryTargets = {
  /** (V, H, W) z-depth. */
  readonly depth?: Tensor;
  /** (V, H, W), 1 where depth is valid. */
  readonly mask?: Tensor;
  /** (V, H, W, 6) origin, direction (eq. 8). */
  readonly rays?: Tensor;
  /** (V, H, W), 1 in views with a known pose. */
  readonly rayMask?: Tensor;
  /** (V, H, W, 3) world points (eq. 9). */
  readonly points?: Tensor;
  /** (V, H, W). */
  readonly pointMask?: Tensor;
  /** (V, H, W) what a pixel counts in each task, 0 to 1; 1 where absent. */
  readonly depthWeight?: Tensor;
  readonly rayWeight?: Tensor;
  readonly pointWeight?: Tensor;
};

/** Scalars; those of a task are present when its prediction is. The terms are unweighted, the sums weighted. */
export type GeometryLosses = {
  readonly lossDepth?: Tensor;
  readonly lossDepthRegression?: Tensor;
  readonly lossDepthConfidence?: Tensor;
  readonly lossDepthGradient?: Tensor;
  readonly lossRay?: Tensor;
  readonly lossRayRegression?: Tensor;
  readonly lossRayConfidence?: Tensor;
  readonly lossPoint?: Tensor;
  readonly lossPointRegression?: Tensor;
  readonly lossPointConfidence?: Tensor;
  readonly lossPointNormal?: Tensor;
};

/**
 * Equation 5 for every predicted task of one sample (a program): depth L₂ + L_conf + L_grad, ray L₂ + L_conf, point
 * L₂ + L_conf + L_norm. Means run over all valid pixels of the sample; without any, a loss is 0. With weights the terms of a pixel
 * count by its weight, those of neighbours by the product of their weights, and are divided by the same counts.
 * @throws SpatialError SHAPE_MISMATCH when a prediction lacks its confidence, label or mask, or their sizes differ.
 */
export function geometryLosses(
  config: LossConfig,
  predictions: GeometryPrediction,
  labels: GeometryTargets,
): GeometryLosses {
  const { depth, depthConfidence, rays, rayConfidence, points, pointConfidence } = predictions;
  const { mask, rayMask, pointMask, depthWeight, rayWeight, pointWeight } = labels;
  const depthMaps = () => maps('depth', depth!, depthConfidence, labels.depth, mask);
  const rayMaps = () => maps('rays', rays!, rayConfidence, labels.rays, rayMask);
  const pointMaps = () => maps('points', points!, pointConfidence, labels.points, pointMask);
  return {
    ...(depth && depthLosses(config, weighted(depthMaps(), depthWeight))),
    ...(rays && rayLosses(config, weighted(rayMaps(), rayWeight))),
    ...(points && pointLosses(config, weighted(pointMaps(), pointWeight))),
  };
}

function depthLosses(config: LossConfig, task: TaskMaps): GeometryLosses {
  const { regression, confidence } = pixelLosses(config, task, 'absolute');
  const gradient = gradientLoss(config, task);
  return {
    lossDepth: weightedSum(config.termWeights, { regression, confidence, gradient }),
    lossDepthRegression: regression,
    lossDepthConfidence: confidence,
    lossDepthGradient: gradient,
  };
}

function rayLosses(config: LossConfig, task: TaskMaps): GeometryLosses {
  const { regression, confidence } = pixelLosses(config, task, config.rayNorm);
  return {
    lossRay: weightedSum(config.termWeights, { regression, confidence }),
    lossRayRegression: regression,
    lossRayConfidence: confidence,
  };
}

function pointLosses(config: LossConfig, task: TaskMaps): GeometryLosses {
  const { regression, confidence } = pixelLosses(config, task, 'joint');
  const normal = normalLoss(config, task);
  return {
    lossPoint: weightedSum(config.termWeights, { regression, confidence, normal }),
    lossPointRegression: regression,
    lossPointConfidence: confidence,
    lossPointNormal: normal,
  };
}

/**
 * Equation 6 (a program): Σ weight · loss over the terms that are present.
 * @param losses scalars named as the weights: text, distillation, depth, ray, point.
 * @returns scalar; 0 when no term is present.
 */
export function totalLoss(
  weights: LossConfig['weights'],
  losses: Readonly<Partial<Record<keyof LossConfig['weights'], Tensor | undefined>>>,
): Tensor {
  return weightedSum(weights, losses);
}

function weightedSum<Name extends string>(
  weights: Readonly<Record<Name, number>>,
  terms: Readonly<Partial<Record<Name, Tensor | undefined>>>,
): Tensor {
  const present = (Object.keys(terms) as Name[]).filter((name) => terms[name] !== undefined);
  const scaled = present.map((name) => tf.mul(terms[name]!, weights[name]));
  return scaled.length === 0 ? tf.scalar(0) : scaled.reduce((sum, term) => tf.add(sum, term));
}

const weighted = (task: TaskMaps, weight: Tensor | undefined): TaskMaps =>
  weight === undefined ? task : { ...task, weight };

function maps(
  field: string,
  prediction: Tensor,
  confidence: Tensor | undefined,
  label: Tensor | undefined,
  mask: Tensor | undefined,
): TaskMaps {
  const size = prediction.shape.slice(0, 3).join('×');
  const shown = (x: Tensor | undefined) =>
    x === undefined ? 'nothing' : `(${x.shape.join(', ')})`;
  const fits =
    label?.shape.join() === prediction.shape.join() &&
    confidence?.shape.join('×') === size &&
    mask?.shape.join('×') === size;
  if (fits) return { prediction, label, confidence, mask } as TaskMaps;
  throw new SpatialError({
    code: 'SHAPE_MISMATCH',
    message:
      `losses: ${field} predicted as ${shown(prediction)}: expected a label of that shape and confidence and mask ` +
      `of ${size}, found label ${shown(label)}, confidence ${shown(confidence)}, mask ${shown(mask)}`,
    hint: 'Bring the labels to the output size of the heads, or predict at the size of the labels',
  });
}
