import {
  type Random,
  type TinyValues,
  tinyDecoderValues,
  tinyPatchFilters,
  tinyTowerValues,
  tinyWeights,
} from '@spatialsv/core/kit';
import type { InternVl3Config } from './internvl3-config.js';
import { internVl3Shapes } from './internvl3-names.js';
import { VISION_NAMES, type VisionNames } from './internvl3-vision.js';

/** Size of the learnt position of a patch beside what the patch shows. */
const POSITION_DEVIATION = 0.1;

/**
 * Random weights that train from scratch, by published name. A constant bias of the first block lets the norms of the
 * vision tower keep brightness.
 * @param projectorGain size of the projector's output weights.
 */
export function tinyInternWeights(
  config: InternVl3Config,
  seed: number,
  projectorGain = 0.2,
): ReadonlyMap<string, Float32Array> {
  const names = VISION_NAMES[config.layout];
  const ofDecoder = tinyDecoderValues(config.decoder.layers);
  const ofTower = towerValues(config, names);
  const valuesOf: TinyValues = (name, shape, random) => {
    if (name.startsWith(`${names.tower}.`))
      return ofTower(name.slice(names.tower.length + 1), shape, random);
    if (name === `${names.projector}.${names.ofProjector.norm}.weight`)
      return new Float32Array(sizeOf(shape)).fill(1);
    if (name === `${names.projector}.${names.ofProjector.second}.weight`)
      return random.normals(sizeOf(shape), projectorGain / Math.sqrt(shape[1]!));
    return ofDecoder(name, shape, random);
  };
  return tinyWeights(internVl3Shapes(config), seed, valuesOf);
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Values by the name below the tower's scope. */
function towerValues(
  { vision: { tower } }: InternVl3Config,
  { ofTower }: VisionNames,
): (name: string, shape: readonly number[], random: Random) => Float32Array {
  const { projection, scale1, scale2 } = ofTower.block;
  return (name, shape, random) => {
    const size = sizeOf(shape);
    if (name === `${ofTower.patch}.weight`) return tinyPatchFilters(tower, random);
    if (name === `${ofTower.blocks}.0.${projection}.bias`) return random.normals(size, 1);
    if (name === ofTower.classToken.name || name === ofTower.positions.name)
      return random.normals(size, POSITION_DEVIATION);
    if ([scale1, scale2].some((scale) => name.endsWith(`.${scale}`)))
      return new Float32Array(size).fill(1);
    // What a block adds is known by its name in DINOv2.
    return tinyTowerValues(name.replace(`.${projection}.`, '.attn.proj.'), shape, random);
  };
}
