import { ops, type Tensor, tf } from '@spatialsv/engine';
import { SpatialError } from '../errors.js';
import { parameterScope } from '../nn/index.js';
import type { GeometryPredictionV1, Parameters } from '../spec.js';
import { dptHeads } from './dpt-heads.js';
import type { GeometryTask, HeadsConfig } from './heads-config.js';

const NORM_EPSILON = 1e-5;

/** What the heads say of V views. Confidences are > 1. */
export type GeometryPrediction = GeometryPredictionV1;

/**
 * Lifts four tapped layers to depth, ray and point maps (a program).
 * @param parameters named as {@link headParameterShapes} lists them.
 * @param taps four (V, h, w, C) float32 maps of one grid, shallow to deep.
 * @param outputSize pixels of the maps; {@link headOutputSize} gives the native size, any other is reached by a
 *   bilinear resize (aligned corners) before the last two convolutions.
 * @throws SpatialError SHAPE_MISMATCH when the taps differ in grid or are not four, WEIGHT_MISSING for a lacking parameter.
 * Equation: 3 and 4. Depth e^y, rays y, points sign(y)·(e^|y| − 1) or y, confidence 1 + e^y.
 */
export function predictGeometry(
  config: HeadsConfig,
  parameters: Parameters,
  taps: readonly Tensor[],
  outputSize: { readonly height: number; readonly width: number },
): GeometryPrediction {
  requireEqualGrids(taps);
  const lifted = taps.map((tap, index) => projectTap(config, parameters, index, tap));
  const prediction = {};
  const heads = config.tasks.map((task) => parameterScope(parameters, `spatial.${task}`));
  const maps = dptHeads(config, sizesOf(config), heads, lifted, outputSize);
  config.tasks.forEach((task, i) => {
    Object.assign(prediction, activate(config, task, maps[i]!));
  });
  return prediction;
}

/**
 * Two-layer projector ϕ_i of one tap: [LayerNorm], linear, GELU, linear (eq. 3).
 * @param tap (…, C) hidden states. @returns (…, d_3D).
 */
function projectTap(
  config: HeadsConfig,
  parameters: Parameters,
  index: number,
  tap: Tensor,
): Tensor {
  const path = `spatial.projectors.${config.projectors === 'shared' ? 0 : index}`;
  const projector = parameterScope(parameters, path);
  const norm = projector.scope('norm');
  const input = config.projectorNorm
    ? ops.layerNorm(tap, norm.get('weight'), norm.get('bias'), NORM_EPSILON)
    : tap;
  return projector.linear('fc2', ops.gelu(projector.linear('fc1', input)));
}

function activate(config: HeadsConfig, task: GeometryTask, raw: Tensor): GeometryPrediction {
  const last = raw.shape[3]! - 1;
  const [value, logit] = tf.split(raw, [last, 1], 3) as [Tensor, Tensor];
  const maps = raw.shape.slice(0, 3);
  const confidence = tf.add(tf.exp(tf.reshape(logit, maps)), 1);
  if (task === 'depth') {
    return { depth: tf.exp(tf.reshape(value, maps)), depthConfidence: confidence };
  }
  if (task === 'ray') return { rays: value, rayConfidence: confidence };
  const points = config.pointActivation === 'linear' ? value : inverseLog(value);
  return { points, pointConfidence: confidence };
}

/** sign(y)·(e^|y| − 1). */
const inverseLog = (y: Tensor): Tensor => tf.mul(tf.sign(y), tf.sub(tf.exp(tf.abs(y)), 1));

function requireEqualGrids(taps: readonly Tensor[]): void {
  const grid = (tap: Tensor) => tap.shape.slice(0, 3).join('×');
  const fits = taps.every((tap) => tap.rank === 4 && grid(tap) === grid(taps[0]!));
  if (taps.length === 4 && fits) return;
  throw new SpatialError({
    code: 'SHAPE_MISMATCH',
    message: `heads: expected four taps (V, h, w, C) of one grid, found ${taps.map((tap) => `(${tap.shape.join(', ')})`).join(' ')}`,
    hint: 'Gather the grid tokens of every tapped layer with the same view grid; run views of other grids separately',
  });
}

/**
 * Projector φ of equation 2 (a program): linear C → 2C, GELU, linear 2C → d_3D.
 * @param hidden (N, C) last-layer states of the visual tokens, after the final norm. @returns (N, d_3D).
 */
export function projectForDistillation(parameters: Parameters, hidden: Tensor): Tensor {
  const projector = parameterScope(parameters, 'spatial.distill');
  return projector.linear('fc2', ops.gelu(projector.linear('fc1', hidden)));
}

/** Sizes that all heads have in common. */
const sizesOf = (config: HeadsConfig) => ({
  inputs: config.projectorChannels,
  stages: config.stageChannels,
  features: config.features,
  hidden: config.hiddenChannels,
});
