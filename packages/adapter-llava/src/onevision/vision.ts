import {
  type CheckpointContent,
  CLIP_NAMES,
  decoderShapes,
  parameterScope,
  renamed,
  type Shapes,
  shapesBelow,
  type Tensor,
  tf,
  towerShapes,
} from '@spatialsv/core/kit';
import type { EncodedViewV1, Parameters, ViewLayoutV1 } from '@spatialsv/core/spec';
import {
  DECODER_NAMES,
  NEWLINE,
  PROJECTOR,
  PROJECTOR_NAMES,
  publishedName,
  VISION,
} from '../shared/native-names.js';
import { endFrame, endRows, type Pooling, poolGrid } from '../shared/pooling.js';
import { project, projectorShapes } from '../shared/projector.js';
import { encodeFrame } from '../shared/tower-states.js';
import { isIdle } from '../shared/towers.js';
import type { FrameLayout } from '../shared/video.js';
import type { OneVisionConfig } from './config.js';
import type { TilePlan } from './tiling.js';
import type { ImageLayout, TiledLayout } from './views.js';

/** Of the frames of a video, behind the projector. */
export const POOLING: Pooling = { mode: 'bilinear', stride: 2 };

/** Every tensor that is read, with its shape, by published name. Linear weights are (out, in). */
export const oneVisionShapes = ({ vision, decoder }: OneVisionConfig): Shapes => ({
  ...shapesBelow(VISION, towerShapes(vision.tower, CLIP_NAMES)),
  ...shapesBelow(
    PROJECTOR,
    projectorShapes(PROJECTOR_NAMES, vision.tower.width, decoder.hiddenSize),
  ),
  [NEWLINE]: [decoder.hiddenSize],
  ...decoderShapes(decoder, DECODER_NAMES),
});

/** What a checkpoint folder holds, under published or in-memory names. */
export const oneVisionContent = (config: OneVisionConfig): CheckpointContent => ({
  shapes: oneVisionShapes({ ...config, decoder: { ...config.decoder, tieHead: false } }),
  names: renamed(publishedName),
  isUnread: (name) =>
    name.startsWith(`${VISION}.`) && isIdle(config.vision, name.slice(VISION.length + 1)),
  tied: {
    name: DECODER_NAMES.head,
    source: `${DECODER_NAMES.model}.embed_tokens.weight`,
    isTied: config.decoder.tieHead,
  },
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
  return encodeFrame(vision, VISION, parameters, byImage, states);
}

/** Projector of one view. @param features (P, Cv). @returns a row (C) for each position of the view. */
export function projectOneVision(
  { vision }: OneVisionConfig,
  parameters: Parameters,
  features: Tensor,
  layout: ViewLayoutV1,
): Tensor {
  const root = parameterScope(parameters);
  const projected = project(root.scope(PROJECTOR), PROJECTOR_NAMES, features);
  const newline = root.get(NEWLINE);
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
  const byTile = tf.reshape(tiles, [rows, columns, side, side * channels]);
  const stitched = tf.reshape(tf.transpose(byTile, [0, 2, 1, 3]), [
    ...[1, rows * side],
    ...[columns * side, channels],
  ]);
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
