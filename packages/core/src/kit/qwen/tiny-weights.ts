/** Random weights of small models with cells that train from scratch. */
import {
  type TinyValues,
  tinyDecoderValues,
  tinyPatchFilters,
  tinyTowerValues,
  tinyWeights,
} from '../tiny-weights.js';
import type { CellModel } from './backbone.js';
import { cellShapes } from './names.js';

/**
 * Weights by published name. A constant bias of the first block lets the norms of the vision tower keep brightness.
 * @param projectorGain size of the projector's output weights.
 */
export function tinyCellWeights(
  { vision, decoder }: CellModel,
  seed: number,
  projectorGain = 0.2,
): ReadonlyMap<string, Float32Array> {
  const ofDecoder = tinyDecoderValues(decoder.layers);
  const valuesOf: TinyValues = (name, shape, random) => {
    const size = shape.reduce((product, side) => product * side, 1);
    if (name === 'visual.patch_embed.proj.weight') return tinyPatchFilters(vision.tower, random);
    if (name === 'visual.blocks.0.attn.proj.bias') return random.normals(size, 1);
    if (/\.class_(embedding|pos_emb)$/.test(name)) return random.normals(size, 0.2);
    if (name === 'visual.merger.mlp.2.weight')
      return random.normals(size, projectorGain / Math.sqrt(shape[1]!));
    return (name.startsWith('visual.') ? tinyTowerValues : ofDecoder)(name, shape, random);
  };
  return tinyWeights(cellShapes(vision, decoder), seed, valuesOf);
}
