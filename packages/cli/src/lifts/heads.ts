import { type GeometryConventionsV1, type SpatialCheckpoint, SpatialError } from '@spatialsv/core';

/** What the heads say is in the normalised scale and the frame of their labels. */
export const HEAD_CONVENTIONS: GeometryConventionsV1 = {
  axes: 'opencv',
  extrinsics: 'world-to-camera',
  pixelCentre: 'half',
  depth: 'z-depth',
  scale: 'relative',
  world: 'first-camera',
};

const TRAINING_HINT =
  'Train them with `spatialsv train CONFIG.yaml`, or add random ones with `spatialsv tiny --heads` to try the command.';

/** @throws SpatialError WEIGHT_MISSING for a checkpoint without 3D heads, or without one for depth. */
export function requireDepth(
  folder: string,
  checkpoint: SpatialCheckpoint | undefined,
): SpatialCheckpoint {
  if (checkpoint === undefined) {
    throw new SpatialError({
      code: 'WEIGHT_MISSING',
      message: `${folder}: expected 3D heads in spatialsv/, found a plain checkpoint`,
      hint: TRAINING_HINT,
    });
  }
  if (checkpoint.heads.tasks.includes('depth')) return checkpoint;
  throw new SpatialError({
    code: 'WEIGHT_MISSING',
    message: `${folder}/spatialsv: expected a depth head, found ${checkpoint.heads.tasks.join(', ')}`,
    hint: TRAINING_HINT,
  });
}
