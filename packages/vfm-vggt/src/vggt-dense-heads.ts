/**
 * VGGT's dense heads: depth and points of a view from four steps of the aggregator.
 * Source: VGGT (arXiv:2503.11651), vggt/heads/dpt_head.py and vggt/heads/head_act.py.
 */
import { dptHead, layerNorm, type ParameterScope, type Tensor, tf } from '@spatialsv/core/kit';
import type { VggtConfig } from './vggt-config.js';
import type { DenseHead } from './vggt-names.js';

const EPSILON = 1e-5;

/** The reference rectifies in place, so that the skip path of its residual units carries relu(x). */
const OPTIONS = { residualRelu: true, positionEmbedding: true };

export interface DenseMaps {
  /** (V, H, W, 1) z-depth > 0, or (V, H, W, 3) points in the frame of the first camera. */
  readonly value: Tensor;
  /** (V, H, W) > 1. */
  readonly confidence: Tensor;
}

/**
 * Maps of one head (a program).
 * @param parameters scope `depth_head` or `point_head`.
 * @param taps four (V, N, 2·C) patch tokens, shallow to deep, N = H·W / patch².
 * @param imageSize pixels of the network's input, and of the maps.
 */
export function denseHead(
  config: VggtConfig,
  head: DenseHead,
  parameters: ParameterScope,
  taps: readonly Tensor[],
  imageSize: { readonly height: number; readonly width: number },
): DenseMaps {
  const [h, w] = [imageSize.height / config.patchSize, imageSize.width / config.patchSize];
  const maps = taps.map((tap) => {
    const normed = layerNorm(parameters.scope('norm'), tap, EPSILON);
    return tf.reshape(normed, [tap.shape[0]!, h, w, tap.shape[2]!]);
  });
  const raw = dptHead(OPTIONS, parameters, maps, imageSize);
  const [value, logit] = tf.split(raw, [raw.shape[3]! - 1, 1], 3) as [Tensor, Tensor];
  return {
    value: head === 'depth' ? tf.exp(value) : inverseLog(value),
    confidence: tf.add(tf.exp(tf.reshape(logit, raw.shape.slice(0, 3))), 1),
  };
}

/** sign(y)·(e^|y| − 1). */
const inverseLog = (y: Tensor): Tensor => tf.mul(tf.sign(y), tf.expm1(tf.abs(y)));
