/** From pixels to the first tokens: a convolution whose stride is its kernel, as one matrix product. */
import { ops, type Tensor, tf } from '@spatialsv/engine';
import type { ParameterScope } from './parameter-scope.js';

const biasOf = (layer: ParameterScope): Tensor | undefined =>
  layer.has('bias') ? layer.get('bias') : undefined;

/**
 * @param layer scope of `weight` (C, 3, p, p) and, if it has one, `bias` (C).
 * @param images (S, H, W, 3), H and W multiples of p. @returns (S, N, C), patches row by row.
 */
export function patchEmbedding(layer: ParameterScope, images: Tensor): Tensor {
  const weight = layer.get('weight');
  const [channels, colours, patch] = weight.shape as [number, number, number, number];
  const [views, height, width] = images.shape as [number, number, number, number];
  const [h, w] = [height / patch, width / patch];
  const cells = tf.reshape(images, [views, h, patch, w, patch * colours]);
  const perPatch = tf.transpose(cells, [0, 1, 3, 2, 4]); // (S, h, w, p, p·3)
  const patches = tf.reshape(perPatch, [views, h * w, patch * patch * colours]);
  const matrix = tf.reshape(tf.transpose(weight, [0, 2, 3, 1]), [channels, -1]);
  return ops.linear(patches, matrix, biasOf(layer));
}

/**
 * @param layer scope of `weight` (C, …), each filter of K values, and, if it has one, `bias` (C).
 * @param patches (S, N, K), the values of a patch in the order of a filter's. @returns (S, N, C).
 */
export function embedPatches(layer: ParameterScope, patches: Tensor): Tensor {
  const weight = layer.get('weight');
  return ops.linear(patches, tf.reshape(weight, [weight.shape[0]!, -1]), biasOf(layer));
}
