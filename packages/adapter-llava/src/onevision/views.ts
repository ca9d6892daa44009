/** Pixels and cells of views: one image as tiles, several as one padded square each. */
import {
  cutTiles,
  type PixelStatistics,
  padCentre,
  patchesOfImages,
  refuseExtremeShape,
  resizeBicubic,
  wholeImage,
} from '@spatialsv/core/kit';
import type { RgbImage, ViewGridV1, ViewInputV1, ViewLayoutV1 } from '@spatialsv/core/spec';
import type { FixedTower } from '../shared/towers.js';
import { type CellAxis, gridOfCells, type PlacedCells } from './cells.js';
import type { OneVisionConfig } from './config.js';
import { planTiles, type TilePlan } from './tiling.js';

/** The whole image squashed to the tower's size, then the image in tiles. */
export interface TiledLayout extends ViewLayoutV1 {
  readonly kind: 'tiles';
  readonly plan: TilePlan;
}

/** The image in a square of its longer side, on the mean colour. */
export interface PaddedLayout extends ViewLayoutV1 {
  readonly kind: 'padded';
}

export type ImageLayout = TiledLayout | PaddedLayout;

/** A view whose place in the prompt is not known yet. */
export interface ImageView {
  readonly view: ViewInputV1 & { readonly layout: ImageLayout };
  /** Visual rows. */
  readonly rows: number;
  /** @param first position of the first visual row. */
  readonly grid: (first: number) => ViewGridV1;
}

export type ViewConfig = OneVisionConfig & { readonly pixels: PixelStatistics };

/** Patches of images of the tower's size, one after the other. */
const patchesOf = (images: readonly RgbImage[], { vision, pixels }: ViewConfig) =>
  patchesOfImages(images, { ...pixels, patchSize: vision.tower.patch.size });

// ---------------------------------------------------------------------------------------------- tiles

/**
 * One image as its overview and its tiles: visual rows are those of the overview, then the rows of the tiles' grid, each with
 * a newline behind it.
 * @throws SpatialError IMAGE_INVALID when one side is over 200 times the other.
 */
export function tiledView(image: RgbImage, config: ViewConfig): ImageView {
  refuseExtremeShape(image.height, image.width, image.path);
  const plan = planTiles(image, config);
  const { imageSize, side } = config.vision;
  const overview = resizeBicubic(image, imageSize, imageSize);
  const rows = side ** 2 + plan.h * (plan.w + 1);
  const { rows: tileRows, columns: tileColumns, top, left, h, w } = plan;
  const key = `tiles-${tileRows}x${tileColumns}-${top}-${left}-${h}x${w}`;
  return {
    view: {
      ...patchesOf([overview, ...tilesOf(image, plan, imageSize)], config),
      layout: { kind: 'tiles', key, plan },
    },
    rows,
    grid: (first) => gridOfCells(tileCells(image, plan, config.vision, first), image),
  };
}

function tilesOf(image: RgbImage, plan: TilePlan, size: number): readonly RgbImage[] {
  const { height, width } = plan.fitted;
  const resized = wholeImage(resizeBicubic(image, width, height));
  const canvas = padCentre(resized, size * plan.columns, size * plan.rows, [0, 0, 0]).image;
  return cutTiles(canvas, plan, size);
}

/**
 * The cells of one tile have the pitch of its patches, and between two tiles there are the pixels that fill no patch: over
 * all tiles the cells are spread evenly, which is at most half of those pixels away from where they are.
 */
function tileCells(
  image: RgbImage,
  plan: TilePlan,
  { imageSize, side, tower }: FixedTower,
  first: number,
): PlacedCells {
  const unseen = imageSize - side * tower.patch.size;
  const axis = (tiles: number, cut: number, kept: number, count: number, of: Side): CellAxis => {
    const cell = (tiles * imageSize - unseen) / (tiles * side);
    const border = Math.floor((tiles * imageSize - of.fitted) / 2);
    const scale = of.original / of.fitted;
    return {
      start: (cell * cut - border) * scale,
      pitch: ((cell * kept) / count) * scale,
      count,
    };
  };
  const { height, width } = plan.fitted;
  return {
    rows: axis(plan.rows, plan.top, plan.keptRows, plan.h, {
      original: image.height,
      fitted: height,
    }),
    columns: axis(plan.columns, plan.left, plan.keptColumns, plan.w, {
      original: image.width,
      fitted: width,
    }),
    first,
    count: side ** 2 + plan.h * (plan.w + 1),
    rowOf: (row, column) => side ** 2 + row * (plan.w + 1) + column,
  };
}

/** Length of one side of the image, and of the image inside the tiles. */
interface Side {
  readonly original: number;
  readonly fitted: number;
}

// ---------------------------------------------------------------------------------------------- padded

/**
 * One image of several: visual rows are those of the square, then a newline.
 * @throws SpatialError IMAGE_INVALID when one side is over 200 times the other.
 */
export function paddedView(image: RgbImage, config: ViewConfig): ImageView {
  refuseExtremeShape(image.height, image.width, image.path);
  const { imageSize, side } = config.vision;
  const longer = Math.max(image.height, image.width);
  const colour = config.pixels.mean.map((level) => Math.trunc(level * 255));
  const square = padCentre(wholeImage(image), longer, longer, colour).image;
  const rows = side ** 2 + 1;
  const grid = (first: number) =>
    gridOfCells(paddedCells(image, config.vision, { first, count: rows }), image);
  const { h, w } = grid(0);
  return {
    view: {
      ...patchesOf([resizeBicubic(square, imageSize, imageSize)], config),
      layout: { kind: 'padded', key: `padded-${h}x${w}` },
    },
    rows,
    grid,
  };
}

function paddedCells(
  { height, width }: RgbImage,
  { imageSize, side, tower }: FixedTower,
  place: Pick<PlacedCells, 'first' | 'count'>,
): PlacedCells {
  const longer = Math.max(height, width);
  const pitch = (tower.patch.size * longer) / imageSize;
  const axis = (length: number): CellAxis => ({
    start: -Math.floor((longer - length) / 2),
    pitch,
    count: side,
  });
  return {
    rows: axis(height),
    columns: axis(width),
    ...place,
    rowOf: (row, column) => row * side + column,
  };
}
