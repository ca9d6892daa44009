/** A square grid of features made smaller, and its rows ended by a newline. */
import { type Tensor, tf } from '@spatialsv/core/kit';

/**
 * `average` and `max` of whole `stride` × `stride` cells (a rest at the right and bottom is left out); `bilinear` to
 * ⌈side / stride⌉ with half-pixel centres and without antialiasing.
 */
export interface Pooling {
  readonly mode: 'average' | 'max' | 'bilinear';
  readonly stride: number;
}

/** Side of the pooled grid. */
export const pooledSide = (side: number, { mode, stride }: Pooling): number =>
  mode === 'bilinear' ? Math.ceil(side / stride) : Math.floor(side / stride);

/** Side of a pooled cell in those of the grid before. */
export const cellSide = (side: number, pooling: Pooling): number =>
  pooling.mode === 'bilinear' ? side / pooledSide(side, pooling) : pooling.stride;

/** @param rows (side², C), row-major. @returns (pooled side², C), row-major. */
export function poolGrid(rows: Tensor, side: number, pooling: Pooling): Tensor {
  const channels = rows.shape[1]!;
  const small = pooledSide(side, pooling);
  const grid = tf.reshape(rows, [1, side, side, channels]) as tf.Tensor4D;
  const pooled =
    pooling.mode === 'bilinear'
      ? tf.image.resizeBilinear(grid, [small, small], false, true)
      : poolCells(grid, small, pooling);
  return tf.reshape(pooled, [small * small, channels]);
}

function poolCells(grid: tf.Tensor4D, small: number, { mode, stride }: Pooling): Tensor {
  const channels = grid.shape[3];
  const covered = small * stride;
  const whole = tf.slice(grid, [0, 0, 0, 0], [1, covered, covered, channels]);
  const cells = tf.reshape(whole, [small, stride, small, stride, channels]);
  return mode === 'average' ? tf.mean(cells, [1, 3]) : tf.max(cells, [1, 3]);
}

/** The newline after each row of the grid. @param rows (h · w, C). @param newline (C). @returns (h · (w + 1), C). */
export function endRows(rows: Tensor, w: number, newline: Tensor): Tensor {
  const channels = rows.shape[1]!;
  const h = rows.shape[0]! / w;
  const grid = tf.reshape(rows, [h, w, channels]);
  const column = tf.tile(tf.reshape(newline, [1, 1, channels]), [h, 1, 1]);
  return tf.reshape(tf.concat([grid, column], 1), [h * (w + 1), channels]);
}

/** The newline behind all rows. @param rows (n, C). @param newline (C). @returns (n + 1, C). */
export const endFrame = (rows: Tensor, newline: Tensor): Tensor =>
  tf.concat([rows, tf.reshape(newline, [1, -1])], 0);
