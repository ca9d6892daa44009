/** Images in tiles of one size, and the features of tiles side by side again. */
import { type Tensor, tf } from '@spatialsv/engine';
import type { RgbImage } from '../spec.js';
import { cutRectangle } from './placed-image.js';

/** Tiles of one view. */
export interface TileGrid {
  readonly columns: number;
  readonly rows: number;
}

/** @param image of whole tiles. @param side of a tile in pixels. @returns tiles row by row. */
export const cutTiles = (
  image: RgbImage,
  { columns, rows }: TileGrid,
  side: number,
): readonly RgbImage[] =>
  Array.from({ length: rows * columns }, (_, tile) => {
    const [row, column] = [Math.floor(tile / columns), tile % columns];
    return cutRectangle(image, { x: column * side, y: row * side, width: side, height: side });
  });

/**
 * @param features (tiles · side², C): tile by tile, the cells of a tile row by row. @param side of a tile in cells.
 * @returns (rows · side, columns · side, C).
 */
export function stitchTiles(features: Tensor, { columns, rows }: TileGrid, side: number): Tensor {
  const channels = features.shape.at(-1)!;
  // A row of cells of one tile is one row of side · C values.
  const byTile = tf.reshape(features, [rows, columns, side, side * channels]);
  const byRow = tf.transpose(byTile, [0, 2, 1, 3]);
  return tf.reshape(byRow, [rows * side, columns * side, channels]);
}
