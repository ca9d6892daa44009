/** How a view is cut into tiles. */
import {
  type ConfigFields,
  configFields,
  IMAGENET_STATISTICS,
  invalidField,
  type JsonObject,
  type PixelStatistics,
  readPixelStatistics,
  type TileGrid,
} from '@spatialsv/core/kit';

export interface TilingConfig extends PixelStatistics {
  /** Side of a tile in pixels. */
  readonly tileSize: number;
  readonly minTiles: number;
  readonly maxTiles: number;
  /** Whether a view of several tiles is followed by the whole of it as one more. */
  readonly hasThumbnail: boolean;
}

/** Original checkpoints keep the limits in config.json, and the statistics in their code. */
export function parseOriginalTiling(root: ConfigFields, tileSize: number): TilingConfig {
  const isDynamic = root.boolean('dynamic_image_size', false);
  return {
    ...IMAGENET_STATISTICS,
    tileSize,
    minTiles: isDynamic ? root.positive('min_dynamic_patch', 1) : 1,
    maxTiles: isDynamic ? root.positive('max_dynamic_patch', 6) : 1,
    hasThumbnail: root.boolean('use_thumbnail', false),
  };
}

/**
 * Reads the image processor of transformers' layout. `crop_to_patches` is not looked at: the model's processor always asks
 * for tiles, with a thumbnail.
 * @param tileSize side of the tower's images. @param where path of the file, for messages.
 * @throws SpatialError CONFIG_INVALID for another size than the tower's, another resampling or normalisation.
 */
export function parseNativeTiling(
  config: JsonObject,
  where: string,
  tileSize: number,
): TilingConfig {
  const fields = configFields(config, where);
  const statistics = readPixelStatistics(fields);
  const size = fields.child('size') ?? configFields({ height: 384, width: 384 }, `${where}.size`);
  for (const side of ['height', 'width']) {
    const found = size.positive(side);
    const expected = `${tileSize}, as vision_config.image_size in config.json`;
    if (found !== tileSize) throw invalidField(`${size.where}.${side}`, expected, found);
  }
  return {
    tileSize,
    minTiles: fields.positive('min_patches', 1),
    maxTiles: fields.positive('max_patches', 12),
    hasThumbnail: true,
    ...statistics,
  };
}

/**
 * The grid of tiles whose aspect ratio is nearest to that of a view, width over height. Of two that are equally near the
 * larger one is taken when the view has more than half of its pixels.
 * @param height, width of the view in pixels. @returns one tile where the limits leave none.
 */
export function chooseTiles(
  height: number,
  width: number,
  { tileSize, minTiles, maxTiles }: Pick<TilingConfig, 'tileSize' | 'minTiles' | 'maxTiles'>,
): TileGrid {
  const ratio = width / height;
  let best: TileGrid = { columns: 1, rows: 1 };
  let nearest = Number.POSITIVE_INFINITY;
  for (const grid of gridsBetween(minTiles, maxTiles)) {
    const distance = Math.abs(ratio - grid.columns / grid.rows);
    const pixels = tileSize * tileSize * grid.columns * grid.rows;
    if (distance > nearest) continue;
    if (distance === nearest && height * width <= 0.5 * pixels) continue;
    best = grid;
    nearest = distance;
  }
  return best;
}

/** Every grid of `min` … `max` tiles, fewer tiles first. */
function gridsBetween(min: number, max: number): readonly TileGrid[] {
  const grids: TileGrid[] = [];
  for (let columns = 1; columns <= max; columns++)
    for (let rows = 1; columns * rows <= max; rows++)
      if (columns * rows >= min) grids.push({ columns, rows });
  return grids.sort((a, b) => a.columns * a.rows - b.columns * b.rows);
}
