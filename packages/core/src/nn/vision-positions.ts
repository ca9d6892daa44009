/** Positions of patches: rotary in two dimensions, and learnt tables. */
import { ops, type Tensor, tf } from '@spatialsv/engine';
import { inverseFrequencies, type RotaryTables } from './rope.js';
import type { PositionResampling, VisionRotaryConfig } from './vision-config.js';

/**
 * Rotary tables in two dimensions, with the frequencies base^(−2k/(D/2)), k = 0 … D/4−1, for row and column each.
 * @param positions (row, column) of T tokens, 2·T entries. @param headDim D, a multiple of 4.
 * @returns for `halves` tables of 2·T rows and D/4 columns (row 2t turns the first half of token t, row 2t + 1 the
 *   second), for `head` tables of T rows and D/2 columns (those of the row, then those of the column).
 * Sources: VGGT (arXiv:2503.11651), vggt/layers/rope.py; transformers 5.18, models/qwen2_5_vl.
 */
export function rotary2d(
  positions: ArrayLike<number>,
  headDim: number,
  { base, form }: VisionRotaryConfig,
): RotaryTables {
  const inverse = inverseFrequencies(base, headDim / 2);
  const quarter = inverse.length;
  const angles = Float32Array.from(
    { length: positions.length * quarter },
    (_, i) => positions[Math.floor(i / quarter)]! * inverse[i % quarter]!,
  );
  const perToken = form === 'halves' ? 2 : 1;
  const shape: [number, number] = [(perToken * positions.length) / 2, (2 * quarter) / perToken];
  return {
    cos: tf.tensor2d(angles.map(Math.cos), shape),
    sin: tf.tensor2d(angles.map(Math.sin), shape),
  };
}

/** Turns by tables of either form: each half of a head's channels, or each head, is a row of its own. @param x (…, T, hd). */
export function rotate(x: Tensor, { cos, sin }: RotaryTables): Tensor {
  const [tokens, headDim] = x.shape.slice(-2) as [number, number];
  const parts = cos.shape[0]! / tokens;
  const rows = tf.reshape(x, [-1, parts * tokens, headDim / parts]);
  return tf.reshape(ops.rotary(rows, cos, sin), x.shape);
}

/** Patches of an image, in rows and columns. */
export interface PatchGrid {
  readonly h: number;
  readonly w: number;
}

/**
 * Position embedding of h × w patches from a learnt square grid.
 * @param table (…, n² or 1 + n², C): the class token's row, where there is one, then the grid row by row.
 * @returns (h·w, C), without the class token; the table's own rows when the grid is n × n.
 */
export function resamplePositionEmbedding(
  table: Tensor,
  { h, w }: PatchGrid,
  method: PositionResampling,
): Tensor {
  const [entries, channels] = table.shape.slice(-2) as [number, number];
  const side = Math.floor(Math.sqrt(entries));
  const first = entries - side * side;
  const rows2d = tf.reshape(table, [entries, channels]);
  const grid = tf.slice(rows2d, [first, 0], [side * side, channels]);
  if (h === side && w === side) return grid;
  const options =
    method.kind === 'antialiased'
      ? { antialias: true }
      : { scaleFactors: [(h + method.offset) / side, (w + method.offset) / side] as const };
  const sized = ops.resizeBicubic(tf.reshape(grid, [1, side, side, channels]), [h, w], options);
  return tf.reshape(sized, [h * w, channels]);
}
