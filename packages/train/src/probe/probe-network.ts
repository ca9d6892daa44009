import {
  dptHead,
  dptShapes,
  layerShapes,
  type Parameters,
  parameterScope,
  resizeAligned,
  shapesBelow,
} from '@spatialsv/core';
import { type Tensor, tf } from '@spatialsv/engine';
import { CELL_PIXELS, DENSE_CHANNELS, type DenseTask, mapSize } from './dense-targets.js';

/**
 * What is trained on top of frozen states. `dpt`: a linear layer and a DPT head, which sees neighbours of a cell and, by the
 * padding of its convolutions, where in the image it is (paper, section 2.2). `linear`: one linear layer from a cell to its
 * pixels, which sees the cell alone.
 */
export const PROBE_KINDS = ['dpt', 'linear'] as const;
export type ProbeKind = (typeof PROBE_KINDS)[number];

/** Channels of a cell behind the linear layer of `dpt`. */
const DPT_CHANNELS = 32;
/** The smallest widths of the 3D heads: a probe reads out, it does not compute. */
const DPT_WIDTHS = { stages: [16, 16, 32, 32], features: 16, hidden: 16 } as const;
const DPT_OPTIONS = { residualRelu: false, positionEmbedding: false };
/** Pixels of a cell, across and down, up to which it decodes; from there maps are interpolated: four times as fast. */
const DECODED_PIXELS = 4;

/** Channels in which cells of two views are compared. */
const MATCH_CHANNELS = 64;
/** Divides cosines before the softmax. Source: CLIP's starting value (arXiv:2103.00020). */
const TEMPERATURE = 0.07;

type Shapes = Readonly<Record<string, readonly number[]>>;

/** Mean and 1 / standard deviation of every channel over the cells of the training views, (C) each. */
export interface ChannelScale {
  readonly mean: Tensor;
  readonly inverse: Tensor;
}

/** Standard deviations at which a channel is cut: one that is nearly always the same is far out where it is not. */
const MOST = 5;

const standardise = (x: Tensor, { mean, inverse }: ChannelScale): Tensor =>
  tf.clipByValue(tf.mul(tf.sub(x, mean), inverse), -MOST, MOST);

// ---------------------------------------------------------------------------------------------- maps

/** Parameters of a probe for maps. */
export function denseShapes(kind: ProbeKind, task: DenseTask, channels: number): Shapes {
  const outputs = DENSE_CHANNELS[task];
  if (kind === 'linear') return layerShapes('map', [outputs * CELL_PIXELS ** 2, channels]);
  return {
    ...layerShapes('input', [DPT_CHANNELS, channels]),
    ...shapesBelow('head', dptShapes({ inputs: DPT_CHANNELS, outputs, ...DPT_WIDTHS })),
  };
}

/**
 * Maps of V views (a program).
 * @param x (V, h, w, C) states of the cells.
 * @returns (V, 8h, 8w, k): depth eʸ as the 3D heads have it, normals of any length, rays as they are.
 */
export function predictMaps(
  kind: ProbeKind,
  task: DenseTask,
  parameters: Parameters,
  x: Tensor,
  scale: ChannelScale,
): Tensor {
  const root = parameterScope(parameters);
  const states = standardise(x, scale);
  const raw =
    kind === 'linear'
      ? pixelsOfCells(root.linear('map', states))
      : decode(root.linear('input', states), parameters);
  return task === 'depth' ? tf.exp(raw) : raw;
}

/** (V, h, w, 32) → (V, 8h, 8w, k): one site feeds all four stages. */
function decode(x: Tensor, parameters: Parameters): Tensor {
  const [, h, w] = x.shape as [number, number, number, number];
  const decoded = { height: h * DECODED_PIXELS, width: w * DECODED_PIXELS };
  const maps = dptHead(DPT_OPTIONS, parameterScope(parameters, 'head'), [x, x, x, x], decoded);
  const { height, width } = mapSize({ h, w });
  return resizeAligned(maps, height, width);
}

/** (V, h, w, 8·8·k) → (V, 8h, 8w, k): each cell holds its own pixels, row by row. */
function pixelsOfCells(y: Tensor): Tensor {
  const [views, h, w, values] = y.shape as [number, number, number, number];
  const size = CELL_PIXELS;
  const k = values / size ** 2;
  const cells = tf.reshape(y, [views, h, w, size, size, k]);
  const rows = tf.transpose(cells, [0, 1, 3, 2, 4, 5]);
  return tf.reshape(rows, [views, h * size, w * size, k]);
}

/**
 * Σ over valid pixels of ‖prediction − target‖² (a program): least for the conditional mean, whose error RMSE measures.
 * @param prediction @param target (V, H, W, k). @param mask (V, H, W).
 */
export const squaredError = (prediction: Tensor, target: Tensor, mask: Tensor): Tensor =>
  tf.sum(tf.mul(tf.sum(tf.square(tf.sub(prediction, target)), 3), mask));

// ---------------------------------------------------------------------------------------------- correspondence

/** Parameters of a probe for correspondence. */
export const matchShapes = (channels: number): Shapes =>
  layerShapes('match', [MATCH_CHANNELS, channels], false);

/**
 * Cosines of the cells of pairs of views in the space of the probe (a program).
 * @param first (N, P, C). @param second (N, P', C). @returns (N, P, P').
 */
export function similarities(
  parameters: Parameters,
  first: Tensor,
  second: Tensor,
  scale: ChannelScale,
): Tensor {
  const root = parameterScope(parameters);
  const code = (x: Tensor) => unit(root.linear('match', standardise(x, scale)));
  return tf.matMul(code(first) as tf.Tensor3D, code(second) as tf.Tensor3D, false, true);
}

const SHORTEST = 1e-12;

const unit = (x: Tensor): Tensor =>
  tf.div(x, tf.sqrt(tf.add(tf.sum(tf.square(x), -1, true), SHORTEST)));

/**
 * Σ over matched cells of the cross-entropy of their true cell under softmax(cosine / 0.07) (a program). InfoNCE.
 * Source: arXiv:1807.03748.
 * @param similarity (N, P, P'). @param targets (N, P) cells of the second view. @param weights (N, P) 1 for matched cells.
 */
export function matchLoss(similarity: Tensor, targets: Tensor, weights: Tensor): Tensor {
  const logProbabilities = tf.logSoftmax(tf.div(similarity, TEMPERATURE));
  const chosen = tf.oneHot(targets as tf.Tensor2D, similarity.shape[2]!);
  const own = tf.sum(tf.mul(logProbabilities, tf.cast(chosen, 'float32')), 2);
  return tf.neg(tf.sum(tf.mul(own, weights)));
}
