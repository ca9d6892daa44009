import { CLIP_NAMES, parameterScope, type Tensor, tf, visionTower } from '@spatialsv/core/kit';
import type { EncodedViewV1, Parameters } from '@spatialsv/core/spec';
import type { FixedTower } from './towers.js';

/**
 * Vision tower of one frame, or of several.
 * @param scope of the tower's tensors.
 * @param pixelValues (P, 3 · patch²) float32, patches row by row; (S, P, 3 · patch²) of S frames.
 * @param states blocks whose output is wanted, 0 = what enters the first block.
 * @returns (S · P, Cv) each, row-major, class token left out; features are those after the last block that runs, not normed.
 * @throws SpatialError SHAPE_MISMATCH | TAP_UNKNOWN | WEIGHT_MISSING.
 */
export function encodeFrame(
  { tower, side }: FixedTower,
  scope: string,
  parameters: Parameters,
  pixelValues: Tensor,
  states: readonly number[] = [],
): EncodedViewV1 {
  const patches = pixelValues.rank === 3 ? pixelValues : tf.expandDims(pixelValues, 0);
  const input = { patches, grid: { h: side, w: side } };
  const root = parameterScope(parameters, scope);
  const out = visionTower(tower, CLIP_NAMES, root, input, { states });
  const ofView = (x: Tensor) => tf.reshape(x, [-1, tower.width]);
  return {
    features: ofView(out.features()),
    states: Object.fromEntries(states.map((state) => [state, ofView(out.states[state]!)])),
  };
}
