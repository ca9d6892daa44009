import { type BicubicOptions, bicubicMatrix } from '../bicubic.js';
import { type Tensor, tf } from '../tfjs.js';

/**
 * Bicubic resize of maps, for position embeddings: two products with constant matrices.
 * @param x (N, H, W, C) float32. @param size [height, width] of the result.
 * @returns (N, height, width, C). Sources outside of the map are clamped to its border.
 * Source: torch.nn.functional.interpolate(mode='bicubic'), with half-pixel centres unless `alignCorners`.
 */
export function resizeBicubic(
  x: Tensor,
  size: readonly [number, number],
  options: BicubicOptions = {},
): Tensor {
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const matrix = (inputs: number, outputs: number, axis: 0 | 1) =>
    tf.tensor2d(bicubicMatrix(inputs, outputs, options, options.scaleFactors?.[axis]), [
      outputs,
      inputs,
    ]);
  const byRow = tf.reshape(x, [batch, height, width * channels]);
  const tall = tf.matMul(tf.expandDims(matrix(height, size[0], 0), 0), byRow);
  const byColumn = tf.reshape(tall, [batch * size[0], width, channels]);
  const wide = tf.matMul(tf.expandDims(matrix(width, size[1], 1), 0), byColumn);
  return tf.reshape(wide, [batch, size[0], size[1], channels]);
}
