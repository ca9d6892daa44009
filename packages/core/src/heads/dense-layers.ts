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

/** 1×1 convolution. `weight` (out, in, 1, 1). */
export function convolve1x1(layer: ParameterScope, x: Tensor): Tensor {
  const weight = layer.get('weight');
  const matrix = tf.reshape(weight, [weight.shape[0]!, weight.shape[1]!]);
  return ops.linear(x, matrix, layer.get('bias'));
}

/**
 * Transposed convolution whose stride equals its kernel: every cell becomes a k×k block, so it is one matrix product
 * and a rearrangement. `weight` (in, out, k, k).
 * @returns (V, k·h, k·w, out).
 */
export function upsampleByKernel(layer: ParameterScope, x: Tensor): Tensor {
  const weight = layer.get('weight');
  const [inputs, outputs, kernel] = weight.shape as [number, number, number, number];
  const [views, h, w] = x.shape as [number, number, number, number];
  const matrix = tf.reshape(tf.transpose(weight, [2, 3, 1, 0]), [
    kernel * kernel * outputs,
    inputs,
  ]);
  const cells = tf.reshape(ops.linear(x, matrix), [views, h, w, kernel, kernel, outputs]);
  const blocks = tf.transpose(cells, [0, 1, 3, 2, 4, 5]); // (V, h, k, w, k, out)
  const y = tf.reshape(blocks, [views, h * kernel, w * kernel, outputs]);
  return tf.add(y, layer.get('bias'));
}

/**
 * Bilinear resize with aligned corners: source coordinate of output i is i·(n−1)/(m−1).
 * @param x (V, h, w, C). @returns (V, height, width, C); x itself when the size is already right.
 */
export function resizeAligned(x: Tensor, height: number, width: number): Tensor {
  if (x.shape[1] === height && x.shape[2] === width) return x;
  return tf.image.resizeBilinear(x as tf.Tensor4D, [height, width], true);
}
