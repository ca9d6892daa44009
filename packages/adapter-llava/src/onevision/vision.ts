import {
  type CheckpointContent,
  parameterScope,
  renamed,
  type Shapes,
  stitchTiles,
  type Tensor,
  tf,
} from '@spatialsv/core/kit';
import type { EncodedViewV1, Parameters, ViewLayoutV1 } from '@spatialsv/core/spec';
import { contentOf, projectRows, shapesOf } from '../shared/model-names.js';
import { NATIVE_NAMES, publishedName } from '../shared/native-names.js';
import { endFrame, endRows, type Pooling, poolGrid } from '../shared/pooling.js';
import { encodeFrame } from '../shared/tower-states.js';
import type { FrameLayout } from '../shared/video.js';
import type { OneVisionConfig } from './config.js';
import type { TilePlan } from './tiling.js';
import type { ImageLayout, TiledLayout } from './views.js';

/** Of the frames of a video, behind the projector. */
export const POOLING: Pooling = { mode: 'bilinear', stride: 2 };

/** Every tensor that is read, with its shape, by published name. Linear weights are (out, in). */
export const oneVisionShapes = (config: OneVisionConfig): Shapes =>
  shapesOf(NATIVE_NAMES, config, true);

/** What a checkpoint folder holds, under published or in-memory names. */
export const oneVisionContent = (config: OneVisionConfig): CheckpointContent => ({
  ...contentOf(NATIVE_NAMES, config, true),
  names: renamed(publishedName),
});

/** Tiles of a view that has some. */
const tilesOf = (layout: ViewLayoutV1): TilePlan | undefined =>
  'plan' in layout ? (layout as TiledLayout).plan : undefined;

/**
 * Vision tower of one view: of its overview and all its tiles, where it has some.
 * @param pixelValues (P, 3 · patch²) float32, patches row by row, tile by tile. @returns (P, Cv) each, in the same order.
 */
export function encodeOneVision(
  { vision }: OneVisionConfig,
  parameters: Parameters,
  pixelValues: Tensor,
  layout: ViewLayoutV1,
  states?: readonly number[],
): EncodedViewV1 {
  const plan = tilesOf(layout);
  const images = plan === undefined ? 1 : 1 + plan.rows * plan.columns;
  const byImage = tf.reshape(pixelValues, [images, -1, pixelValues.shape[1]!]);
  return encodeFrame(vision, NATIVE_NAMES.vision, parameters, byImage, states);
}

/** Projector of one view. @param features (P, Cv). @returns a row (C) for each position of the view. */
export function projectOneVision(
  { vision }: OneVisionConfig,
  parameters: Parameters,
  features: Tensor,
  layout: ViewLayoutV1,
): Tensor {
  const projected = projectRows(NATIVE_NAMES, parameters, features);
  const newline = parameterScope(parameters).get(NATIVE_NAMES.newline);
  const plan = tilesOf(layout);
  if (plan !== undefined) return tileRows(projected, plan, vision.side, newline);
  if ((layout as ImageLayout).kind === 'padded') return endFrame(projected, newline);
  const pooled = poolGrid(projected, vision.side, POOLING);
  return (layout as FrameLayout).isLast ? endFrame(pooled, newline) : pooled;
}

/** The overview, then the grid of all tiles without its border, made smaller where it is too large, with newlines. */
function tileRows(projected: Tensor, plan: TilePlan, side: number, newline: Tensor): Tensor {
  const channels = projected.shape[1]!;
  const perTile = side ** 2;
  const { rows, columns, keptRows, keptColumns, h, w } = plan;
  const overview = tf.slice(projected, [0, 0], [perTile, channels]);
  const tiles = tf.slice(projected, [perTile, 0], [rows * columns * perTile, channels]);
  const stitched = tf.expandDims(stitchTiles(tiles, plan, side), 0);
  const kept = tf.slice(
    stitched,
    [0, plan.top, plan.left, 0],
    [1, keptRows, keptColumns, channels],
  );
  const grid =
    h === keptRows && w === keptColumns
      ? kept
      : tf.image.resizeBilinear(kept as tf.Tensor4D, [h, w], false, true);
  return tf.concat([overview, endRows(tf.reshape(grid, [h * w, channels]), w, newline)], 0);
}
