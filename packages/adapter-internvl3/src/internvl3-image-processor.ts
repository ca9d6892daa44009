import {
  cutTiles,
  patchesOfImages,
  refuseExtremeShape,
  resizeBicubic,
  type TileGrid,
} from '@spatialsv/core/kit';
import type { RgbImage, ViewInputV1, ViewLayoutV1 } from '@spatialsv/core/spec';
import { CELL_SIDE } from './internvl3-config.js';
import { chooseTiles, type TilingConfig } from './tiling.js';

/** Which visual rows of a view are its feature grid: those of the tiles side by side, or those of the thumbnail. */
export type GridOf = 'tiles' | 'thumbnail';

/** Tiles of one view. Its key is all that the order of pixels, features and states depends on. */
export interface TileLayout extends ViewLayoutV1, TileGrid {
  readonly hasThumbnail: boolean;
  readonly grid: GridOf;
}

export interface TiledView extends ViewInputV1 {
  readonly layout: TileLayout;
}

/** Images that the tower sees of a view. */
export const tilesOf = ({ columns, rows, hasThumbnail }: TileLayout): number =>
  columns * rows + (hasThumbnail ? 1 : 0);

/**
 * Pixel values of one view: resized (Pillow's bicubic, each axis by itself) to a grid of tiles, which are cut row by row, and
 * followed by the whole view in the size of a tile where there are several; (x / 255 − mean) / std.
 * @returns (tiles · P, 3 · patch²) float32: tile by tile, 2 × 2 cells row by row, the patches of a cell row by row, colours
 *   slowest.
 * @throws SpatialError IMAGE_INVALID when one side is over 200 times the other.
 */
export function processImage(
  image: RgbImage,
  tiling: TilingConfig,
  patchSize: number,
  asked: GridOf,
): TiledView {
  refuseExtremeShape(image.height, image.width, image.path);
  const { tileSize } = tiling;
  const { columns, rows } = chooseTiles(image.height, image.width, tiling);
  const resized = resizeBicubic(image, tileSize * columns, tileSize * rows);
  const tiles = [...cutTiles(resized, { columns, rows }, tileSize)];
  const hasThumbnail = tiling.hasThumbnail && tiles.length > 1;
  if (hasThumbnail) tiles.push(resizeBicubic(image, tileSize, tileSize));
  const grid = hasThumbnail ? asked : 'tiles';
  const key = `${rows}x${columns}${hasThumbnail ? `+1 ${grid}` : ''}`;
  return {
    ...patchesOfImages(tiles, { ...tiling, patchSize, cellSide: CELL_SIDE }),
    layout: { key, columns, rows, hasThumbnail, grid },
  };
}
