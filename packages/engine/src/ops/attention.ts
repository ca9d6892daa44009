import { tf, type Tensor } from '../tfjs.js';

/**
 * Scaled dot-product attention with grouped keys and values (query head j reads key/value head ⌊j / (heads / kvHeads)⌋).
 * @param queries (heads, T, hd) float32. @param keys (kvHeads, S, hd). @param values (kvHeads, S, hd).
 * @param options.scale factor on the scores, normally hd^(−1/2).
 * @param options.mask additive (T, S) float32, 0 where attention is allowed and a large negative number elsewhere.
 * @returns (heads, T, hd) float32.
 */
export function attention(
  queries: Tensor,
  keys: Tensor,
  values: Tensor,
  options: { readonly scale: number; readonly mask?: Tensor | undefined },
): Tensor {
  const [heads, rows, headDim] = queries.shape as [number, number, number];
  const [kvHeads, columns] = keys.shape as [number, number, number];
  const groups = heads / kvHeads;
  const grouped = tf.reshape(queries, [kvHeads, groups * rows, headDim]) as tf.Tensor3D;
  const products = tf.matMul(grouped, keys as tf.Tensor3D, false, true);
  const scaled = tf.reshape(tf.mul(products, options.scale), [heads, rows, columns]);
  const scores = options.mask === undefined ? scaled : tf.add(scaled, options.mask);
  const weights = tf.reshape(tf.softmax(scores, -1), [kvHeads, groups * rows, columns]);
  const mixed = tf.matMul(weights as tf.Tensor3D, values as tf.Tensor3D);
  return tf.reshape(mixed, [heads, rows, headDim]);
}
