/** Vision towers whose patches a merger joins cell by cell. */
import { type Tensor, tf } from '@spatialsv/engine';
import {
  type NormConfig,
  normalise,
  normShapes,
  parameterScope,
  type Shapes,
  shapesBelow,
  towerShapes,
  type VisionTowerConfig,
  type VisionTowerNames,
  visionTower,
} from '../../nn/index.js';
import type { EncodedViewV1, Parameters, ViewLayoutV1 } from '../../spec.js';
import { type ProjectorNames, project, projectorShapes } from '../projector.js';
import type { CellLayout, CellPatches } from './images.js';

/** Scope of the tower. */
export const TOWER = 'visual';

/** Scope of the merger, which is the projector. */
export const MERGER = 'visual.merger';
export const MERGER_NAMES: ProjectorNames = { first: 'mlp.0', second: 'mlp.2' };

/** Vision tower and merger. */
export interface CellVision {
  readonly tower: VisionTowerConfig;
  readonly names: VisionTowerNames;
  /** Norm of each patch before merging. */
  readonly mergerNorm: NormConfig;
  /** Side of a merged cell in patches. */
  readonly mergeSize: number;
  /** Width of the projector's output, the decoder's hidden size. */
  readonly outputSize: number;
}

/** What the tower takes of an image. */
export const patchesOf = ({ tower, mergeSize }: CellVision): CellPatches => ({
  patchSize: tower.patch.size,
  frames: tower.patch.frames ?? 1,
  mergeSize,
});

/** Every tensor of tower and merger with its shape, by published name. */
export function cellVisionShapes(vision: CellVision): Shapes {
  const { tower, names, mergerNorm, mergeSize, outputSize } = vision;
  const cell = tower.width * mergeSize ** 2;
  const merger = {
    ...normShapes('ln_q', tower.width, mergerNorm),
    ...projectorShapes(MERGER_NAMES, cell, outputSize, cell),
  };
  return {
    ...shapesBelow(TOWER, towerShapes(tower, names)),
    ...shapesBelow(MERGER, merger),
  };
}

/**
 * Vision tower of one still image.
 * @param pixelValues (P, channels·T·patch²) float32, patches cell by cell as the image processor orders them.
 * @param layout that of the view's pixels.
 * @param states blocks whose output is wanted, 0 = patch embedding.
 * @returns (P, Cv) features after the last block, in the order of `pixelValues`; states with patches row by row.
 * @throws SpatialError SHAPE_MISMATCH when layout and pixels disagree, TAP_UNKNOWN, WEIGHT_MISSING.
 */
export function encodeCells(
  { tower, names }: CellVision,
  parameters: Parameters,
  pixelValues: Tensor,
  layout: ViewLayoutV1,
  states: readonly number[] = [],
): EncodedViewV1 {
  const { rows: h, columns: w } = layout as CellLayout;
  const input = { patches: tf.expandDims(pixelValues, 0), grid: { h, w } };
  const out = visionTower(tower, names, parameterScope(parameters, TOWER), input, { states });
  const ofView = (x: Tensor) => tf.reshape(x, [-1, tower.width]);
  return {
    features: ofView(out.features()),
    states: Object.fromEntries(states.map((state) => [state, ofView(out.states[state]!)])),
  };
}

/**
 * Vision-language projector: norm of each patch, the patches of a cell side by side, a two-layer perceptron.
 * @param features (P, Cv) in the order of the pixel values.
 * @returns (h·w, C), row-major.
 */
export function mergeCells(
  { tower, mergerNorm, mergeSize }: CellVision,
  parameters: Parameters,
  features: Tensor,
): Tensor {
  const merger = parameterScope(parameters, MERGER);
  const normed = normalise(mergerNorm, merger.scope('ln_q'), features);
  const cells = tf.reshape(normed, [-1, tower.width * mergeSize ** 2]); // (h·w, 4·Cv)
  return project(merger, MERGER_NAMES, cells);
}
