import {
  DINO_NAMES,
  layerShapes,
  normalise,
  normShapes,
  ops,
  parameterScope,
  type Shapes,
  shapesBelow,
  type Tensor,
  tf,
  towerShapes,
  type VisionTowerNames,
  visionTower,
} from '@spatialsv/core/kit';
import type { EncodedViewV1, Parameters, ViewLayoutV1 } from '@spatialsv/core/spec';
import { NORM, type VisionConfig } from './qwen25vl-config.js';
import type { PatchLayout } from './qwen25vl-image-processor.js';

const TOWER = 'visual';
export const MERGER = 'visual.merger';

const NAMES: VisionTowerNames = {
  ...DINO_NAMES,
  block: {
    ...DINO_NAMES.block,
    mlp: { gate: 'mlp.gate_proj', up: 'mlp.up_proj', down: 'mlp.down_proj' },
  },
};

/** Every tensor of tower and merger with its shape, by published name. */
export function visionShapes({ tower, mergeSize, outputSize }: VisionConfig): Shapes {
  const cell = tower.width * mergeSize ** 2;
  const merger = {
    ...normShapes('ln_q', tower.width, NORM),
    ...layerShapes('mlp.0', [cell, cell]),
    ...layerShapes('mlp.2', [outputSize, cell]),
  };
  return {
    ...shapesBelow(TOWER, towerShapes(tower, NAMES)),
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
export function encodeImage(
  { tower }: VisionConfig,
  parameters: Parameters,
  pixelValues: Tensor,
  layout: ViewLayoutV1,
  states: readonly number[] = [],
): EncodedViewV1 {
  const { rows: h, columns: w } = layout as PatchLayout;
  const input = { patches: tf.expandDims(pixelValues, 0), grid: { h, w } };
  const out = visionTower(tower, NAMES, parameterScope(parameters, TOWER), input, { states });
  const ofView = (x: Tensor) => tf.reshape(x, [-1, tower.width]);
  return {
    features: ofView(out.features()),
    states: Object.fromEntries(states.map((state) => [state, ofView(out.states[state]!)])),
  };
}

/**
 * Vision-language projector: RMS norm of each patch, the patches of a cell side by side, a two-layer perceptron.
 * @param features (P, Cv) in the order of the pixel values.
 * @returns (h·w, C), row-major.
 */
export function mergePatches(
  { tower, mergeSize }: VisionConfig,
  parameters: Parameters,
  features: Tensor,
): Tensor {
  const merger = parameterScope(parameters, MERGER);
  const normed = normalise(NORM, merger.scope('ln_q'), features);
  const cells = tf.reshape(normed, [-1, tower.width * mergeSize ** 2]); // (h·w, 4·Cv)
  return merger.linear('mlp.2', ops.gelu(merger.linear('mlp.0', cells)));
}
