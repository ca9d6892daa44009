import {
  DINO_NAMES,
  layerNorm,
  normShapes,
  type ProjectorNames,
  parameterScope,
  project,
  projectorShapes,
  type Shapes,
  shapesBelow,
  stitchTiles,
  type Tensor,
  tf,
  towerShapes,
  type VisionTowerNames,
  visionTower,
} from '@spatialsv/core/kit';
import type { EncodedViewV1, Parameters, ViewLayoutV1 } from '@spatialsv/core/spec';
import { CELL_SIDE, type VisionConfig } from './internvl3-config.js';
import { type TileLayout, tilesOf } from './internvl3-image-processor.js';
import type { CheckpointLayout } from './model-type.js';

/** Where tower and projector lie in a checkpoint, and how their tensors are called. */
export interface VisionNames {
  readonly tower: string;
  readonly ofTower: VisionTowerNames;
  readonly projector: string;
  readonly ofProjector: ProjectorNames & { readonly norm: string };
}

export const VISION_NAMES: Readonly<Record<CheckpointLayout, VisionNames>> = {
  original: {
    tower: 'vision_model',
    ofTower: {
      ...DINO_NAMES,
      patch: 'embeddings.patch_embedding',
      classToken: { name: 'embeddings.class_embedding', rank: 3 },
      positions: { name: 'embeddings.position_embedding', rank: 3 },
      blocks: 'encoder.layers',
      block: { ...DINO_NAMES.block, scale1: 'ls1', scale2: 'ls2' },
    },
    projector: 'mlp1',
    ofProjector: { norm: '0', first: '1', second: '3' },
  },
  native: {
    tower: 'vision_tower',
    ofTower: {
      ...DINO_NAMES,
      patch: 'embeddings.patch_embeddings.projection',
      classToken: { name: 'embeddings.cls_token', rank: 3 },
      positions: { name: 'embeddings.position_embeddings', rank: 3 },
      blocks: 'encoder.layer',
      block: {
        ...DINO_NAMES.block,
        norm1: 'layernorm_before',
        qkv: { q: 'attention.q_proj', k: 'attention.k_proj', v: 'attention.v_proj' },
        projection: 'attention.projection_layer',
        scale1: 'lambda_1',
        norm2: 'layernorm_after',
        scale2: 'lambda_2',
      },
    },
    projector: 'multi_modal_projector',
    ofProjector: { norm: 'layer_norm', first: 'linear_1', second: 'linear_2' },
  },
};

/** Of the projector's norm, in both layouts. */
const PROJECTOR_EPSILON = 1e-5;

/** Every tensor of tower and projector with its shape, by published name. */
export function visionShapes({ tower, outputSize }: VisionConfig, names: VisionNames): Shapes {
  const cell = tower.width * CELL_SIDE ** 2;
  const projector = {
    ...normShapes(names.ofProjector.norm, cell, { kind: 'layer' }),
    ...projectorShapes(names.ofProjector, cell, outputSize),
  };
  return {
    ...shapesBelow(names.tower, towerShapes(tower, names.ofTower)),
    ...shapesBelow(names.projector, projector),
  };
}

/**
 * Vision tower of one view: each tile by itself.
 * @param pixelValues (tiles · P, 3 · patch²) float32, as the image processor orders them.
 * @param states blocks whose output is wanted, 0 = patch embedding.
 * @returns (tiles · P, Cv) features after the last block, in the order of `pixelValues`; states of the view's feature grid,
 *   patches row by row: all tiles side by side, or the thumbnail.
 * @throws SpatialError SHAPE_MISMATCH when layout and pixels disagree, TAP_UNKNOWN, WEIGHT_MISSING.
 */
export function encodeTiles(
  { tower, tileSize }: VisionConfig,
  names: VisionNames,
  parameters: Parameters,
  pixelValues: Tensor,
  layout: ViewLayoutV1,
  states: readonly number[] = [],
): EncodedViewV1 {
  const tiles = layout as TileLayout;
  const side = tileSize / tower.patch.size;
  const patches = tf.reshape(pixelValues, [tilesOf(tiles), -1, pixelValues.shape[1]!]);
  const input = { patches, grid: { h: side, w: side } };
  const scope = parameterScope(parameters, names.tower);
  const out = visionTower(tower, names.ofTower, scope, input, { states });
  return {
    features: tf.reshape(out.features(), [-1, tower.width]),
    states: Object.fromEntries(
      states.map((state) => [state, statesOfGrid(out.states[state]!, tiles, side)]),
    ),
  };
}

/** @param x (tiles, P, Cv), the patches of a tile row by row. @returns (P of the grid, Cv), row by row. */
function statesOfGrid(x: Tensor, layout: TileLayout, side: number): Tensor {
  const [tiles, patches, width] = x.shape as [number, number, number];
  if (layout.grid === 'thumbnail')
    return tf.reshape(tf.slice(x, [tiles - 1, 0, 0], [1, patches, width]), [patches, width]);
  const cut = tf.slice(x, [0, 0, 0], [layout.rows * layout.columns, patches, width]);
  return tf.reshape(stitchTiles(cut, layout, side), [-1, width]);
}

/**
 * Vision-language projector: the patches of a 2 × 2 cell side by side (pixel shuffle), layer norm, a two-layer perceptron.
 * @param features (tiles · P, Cv) in the order of the pixel values.
 * @returns (tiles · P / 4, C): tile by tile, cells row by row.
 */
export function projectCells(
  { tower }: VisionConfig,
  names: VisionNames,
  parameters: Parameters,
  features: Tensor,
): Tensor {
  const projector = parameterScope(parameters, names.projector);
  const cells = tf.reshape(features, [-1, tower.width * CELL_SIDE ** 2]);
  const normed = layerNorm(projector.scope(names.ofProjector.norm), cells, PROJECTOR_EPSILON);
  return project(projector, names.ofProjector, normed);
}
