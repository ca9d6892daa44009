import { type Tensor, tf } from '@spatialsv/engine';

/** Added to forbidden scores: its exponential is exactly 0 in float32, and it stays finite. */
export const FORBIDDEN = -1e9;

/**
 * A cache with rows written into it, which a compiled program does in place.
 * @param cache (kvHeads, capacity, hd). @param rows (kvHeads, T, hd).
 * @param slots (T) int32 in [0, capacity); which of several rows of one slot stays is left open.
 */
export function placeRows(cache: Tensor, rows: Tensor, slots: Tensor): Tensor {
  const [kvHeads, tokens] = rows.shape as [number, number, number];
  const heads = tf.tensor1d(
    Int32Array.from({ length: kvHeads * tokens }, (_, i) => (i / tokens) | 0),
    'int32',
  );
  const places = tf.reshape(tf.tile(slots, [kvHeads]), [kvHeads * tokens]);
  const indices = tf.reshape(tf.stack([heads, places], 1), [kvHeads, tokens, 2]);
  return tf.tensorScatterUpdate(cache, indices as tf.Tensor2D, rows);
}
