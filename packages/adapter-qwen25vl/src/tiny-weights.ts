import {
  type TinyValues,
  tinyDecoderValues,
  tinyPatchFilters,
  tinyTowerValues,
  tinyWeights,
} from '@spatialsv/core/kit';
import type { Qwen25VlConfig } from './qwen25vl-config.js';
import { qwen25VlShapes } from './qwen25vl-names.js';

/**
 * Random weights that train from scratch, by published name. A constant bias of the first block lets the norms of the
 * vision tower keep brightness.
 * @param projectorGain size of the projector's output weights.
 */
export function tinyQwenWeights(
  config: Qwen25VlConfig,
  seed: number,
  projectorGain = 0.2,
): ReadonlyMap<string, Float32Array> {
  const ofDecoder = tinyDecoderValues(config.decoder.layers);
  const valuesOf: TinyValues = (name, shape, random) => {
    const size = shape.reduce((product, side) => product * side, 1);
    if (name === 'visual.patch_embed.proj.weight')
      return tinyPatchFilters(config.vision.tower, random);
    if (name === 'visual.blocks.0.attn.proj.bias') return random.normals(size, 1);
    if (name === 'visual.merger.mlp.2.weight')
      return random.normals(size, projectorGain / Math.sqrt(shape[1]!));
    return (name.startsWith('visual.') ? tinyTowerValues : ofDecoder)(name, shape, random);
  };
  return tinyWeights(qwen25VlShapes(config), seed, valuesOf);
}
