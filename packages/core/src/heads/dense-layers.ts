/** Convolutions and resizing of dense maps (V, h, w, C), with weights stored as PyTorch stores them. */
import { ops, type Tensor, tf } from '@spatialsv/engine';
import type { ParameterScope } from '../nn/index.js';

/**
 * 3×3 convolution, padding 1.
 * @param layer `weight` (out, in, 3, 3) and, unless `bias` is false, `bias` (out). @param x (V, h, w, in).
 */
export function convolve3x3(
  layer: ParameterScope,
  x: Tensor,
  { stride = 1, bias = true }: { readonly stride?: 1 | 2; readonly bias?: boolean } = {},
): Tensor {
  const offset = bias ? layer.get('bias') : undefined;
  return ops.convolution(x, layer.get('weight'), offset, { stride, padding: 1 });
}

/** 1×1 convolution. `weight` (out, in, 1, 1), or (1, 1, S, out, in) for S heads whose maps take turns. */
export function convolve1x1(layer: ParameterScope, x: Tensor): Tensor {
  const weight = layer.get('weight');
  if (isStacked(weight)) return linearByTurns(x, tf.squeeze(weight, [0, 1]), layer.get('bias'));
  const matrix = tf.reshape(weight, [weight.shape[0]!, weight.shape[1]!]);
  return ops.linear(x, matrix, layer.get('bias'));
}

type Five = [number, number, number, number, number];

const isStacked = (weight: Tensor): boolean => weight.rank === 5;

/**
 * y = x · Wᵀ + b with layers that take turns.
 * @param x (V·S, h, w, in). @param matrix (S, out, in). @param bias (S, out).
 */
function linearByTurns(x: Tensor, matrix: Tensor, bias: Tensor): Tensor {
  const [heads, outputs, inputs] = matrix.shape as [number, number, number];
  const rows = tf.reshape(x, [x.shape[0]! / heads, heads, -1, inputs]);
  const y = tf.matMul(rows, matrix, false, true);
  const sum = tf.add(y, tf.reshape(bias, [heads, 1, outputs]));
  return tf.reshape(sum, [...x.shape.slice(0, 3), outputs]);
}

/**
 * {@link convolve1x1} of a map that all heads share.
 * @param x (V, h, w, in). @returns (V, h, w, out), or (V·S, h, w, out) with the S heads taking turns.
 */
export function convolveShared1x1(layer: ParameterScope, x: Tensor): Tensor {
  const weight = layer.get('weight');
  if (!isStacked(weight)) return convolve1x1(layer, x);
  const [, , heads, outputs, inputs] = weight.shape as Five;
  const [views, h, w] = x.shape as [number, number, number];
  const matrix = tf.reshape(weight, [heads * outputs, inputs]);
  const y = ops.linear(x, matrix, tf.reshape(layer.get('bias'), [heads * outputs]));
  const apart = tf.transpose(tf.reshape(y, [views, h, w, heads, outputs]), [0, 3, 1, 2, 4]);
  return tf.reshape(apart, [views * heads, h, w, outputs]);
}

/**
 * Transposed convolution whose stride equals its kernel: every cell becomes a k×k block, so it is one matrix product
 * and a rearrangement. `weight` (in, out, k, k), or (k, k, S, in, out) for S heads.
 * @returns (V, k·h, k·w, out).
 */
export function upsampleByKernel(layer: ParameterScope, x: Tensor): Tensor {
  const weight = layer.get('weight');
  const bias = layer.get('bias');
  if (isStacked(weight)) return upsampleByTurns(weight, bias, x);
  const [inputs, outputs, kernel] = weight.shape as [number, number, number, number];
  const matrix = tf.reshape(tf.transpose(weight, [2, 3, 1, 0]), [
    kernel * kernel * outputs,
    inputs,
  ]);
  return tf.add(spread(ops.linear(x, matrix), kernel), bias);
}

/** @param weight (k, k, S, in, out). @param bias (S, out). @param x (V·S, h, w, in). */
function upsampleByTurns(weight: Tensor, bias: Tensor, x: Tensor): Tensor {
  const [kernel, , heads, inputs, outputs] = weight.shape as Five;
  const cells = tf.transpose(weight, [2, 3, 0, 1, 4]);
  const matrices = tf.reshape(cells, [heads, inputs, kernel * kernel * outputs]);
  const [images, h, w] = x.shape as [number, number, number];
  const rows = tf.reshape(x, [images / heads, heads, h * w, inputs]);
  const sent = tf.matMul(rows, matrices);
  const y = spread(tf.reshape(sent, [images, h, w, kernel * kernel * outputs]), kernel);
  const pixels = tf.reshape(y, [images / heads, heads, h * w * kernel * kernel, outputs]);
  return tf.reshape(tf.add(pixels, tf.reshape(bias, [heads, 1, outputs])), y.shape);
}

/** Cells (N, h, w, k · k · out) as blocks of k × k pixels: (N, k·h, k·w, out). */
function spread(cells: Tensor, kernel: number): Tensor {
  const [images, h, w, values] = cells.shape as [number, number, number, number];
  const outputs = values / (kernel * kernel);
  const apart = tf.reshape(cells, [images, h, w, kernel, kernel, outputs]);
  const blocks = tf.transpose(apart, [0, 1, 3, 2, 4, 5]); // (N, h, k, w, k, out)
  return tf.reshape(blocks, [images, h * kernel, w * kernel, outputs]);
}

/**
 * Bilinear resize with aligned corners: source coordinate of output i is i·(n−1)/(m−1).
 * @param x (V, h, w, C). @returns (V, height, width, C); x itself when the size is already right.
 */
export function resizeAligned(x: Tensor, height: number, width: number): Tensor {
  if (x.shape[1] === height && x.shape[2] === width) return x;
  return tf.image.resizeBilinear(x as tf.Tensor4D, [height, width], true);
}
