/**
 * How an image of any shape becomes tiles of the vision tower's size, and which cells its features keep (transformers 5.18,
 * image_processing_utils.select_best_resolution and models/llava_onevision: unpad_image, pack_image_features).
 */
import type { TileGrid } from '@spatialsv/core/kit';
import type { RgbImage } from '@spatialsv/core/spec';
import type { OneVisionConfig, Resolution } from './config.js';

type Size = Pick<RgbImage, 'height' | 'width'>;

/** Tiles, each of the tower's size. */
export interface TilePlan extends TileGrid {
  /** Size of the image inside the tiles, in pixels; it is in their middle, on black. */
  readonly fitted: Size;
  /** Cells that are cut off at each end of the tiles' grid, where it sees black alone. */
  readonly top: number;
  readonly left: number;
  /** Cells that are left. */
  readonly keptRows: number;
  readonly keptColumns: number;
  /** Cells after resampling; as many as are left where they are not too many. */
  readonly h: number;
  readonly w: number;
}

/** More cells than this, over those of the most tiles, are resampled. */
const TOLERATED = 1.1;

/** @param config of the model. */
export function planTiles(
  image: Size,
  { vision, resolutions, maxTiles }: Pick<OneVisionConfig, 'vision' | 'resolutions' | 'maxTiles'>,
): TilePlan {
  const { imageSize, side } = vision;
  const resolution = bestResolution(image, resolutions);
  const [rows, columns] = resolution.map((pixels) => pixels / imageSize) as [number, number];
  const [top, left] = unpadding(image, rows * side, columns * side);
  const [keptRows, keptColumns] = [rows * side - 2 * top, columns * side - 2 * left];
  const ratio = Math.sqrt((keptRows * keptColumns) / (maxTiles * side ** 2));
  const resampled = (cells: number) => (ratio > TOLERATED ? floorDivide(cells, ratio) : cells);
  return {
    rows,
    columns,
    fitted: fitInside(image, resolution),
    ...{ top, left, keptRows, keptColumns },
    h: resampled(keptRows),
    w: resampled(keptColumns),
  };
}

/** The resolution at which most pixels of the image are kept, and of those the one that wastes fewest. */
export function bestResolution(
  { height, width }: Size,
  resolutions: readonly Resolution[],
): Resolution {
  let best: { resolution: Resolution; kept: number; wasted: number } | undefined;
  for (const resolution of resolutions) {
    const [rows, columns] = resolution;
    const scale = Math.min(columns / width, rows / height);
    const pixels = Math.trunc(width * scale) * Math.trunc(height * scale);
    const kept = Math.min(pixels, width * height);
    const wasted = rows * columns - kept;
    const isBetter =
      best === undefined || kept > best.kept || (kept === best.kept && wasted < best.wasted);
    if (isBetter) best = { resolution, kept, wasted };
  }
  return best!.resolution;
}

/** Size of the image inside a resolution, aspect ratio kept. */
function fitInside({ height, width }: Size, [rows, columns]: Resolution): Size {
  const [scaleX, scaleY] = [columns / width, rows / height];
  return scaleX < scaleY
    ? { height: Math.min(Math.ceil(height * scaleX), rows), width: columns }
    : { height: rows, width: Math.min(Math.ceil(width * scaleY), columns) };
}

/** Cells to cut off at each end of rows and columns. */
function unpadding({ height, width }: Size, rows: number, columns: number): [number, number] {
  if (width / height > columns / rows) {
    const seen = Math.trunc(rounded(height * (columns / width)));
    return [Math.floor((rows - seen) / 2), 0];
  }
  const seen = Math.trunc(rounded(width * (rows / height)));
  return [0, Math.floor((columns - seen) / 2)];
}

/** To seven places. */
const rounded = (value: number): number => Math.round(value * 1e7) / 1e7;

/** ⌊a / b⌋ by way of the remainder, so that a quotient that rounds up to a whole number is still the one below. */
const floorDivide = (a: number, b: number): number => Math.round((a - (a % b)) / b);
