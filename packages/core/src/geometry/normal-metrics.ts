import { requireLength } from './rays.js';
import { angleBetween } from './rotation.js';

const DEGREES = 180 / Math.PI;

/** Errors of surface normals: angles to the target, pooled over all pixels that count. */
export interface NormalErrors {
  readonly meanDeg: number;
  readonly medianDeg: number;
  /** √mean(angle²), degrees. */
  readonly rmseDeg: number;
  /** Fractions of pixels with an angle below 11.25°, 22.5° and 30°. */
  readonly within11: number;
  readonly within22: number;
  readonly within30: number;
}

/**
 * Angles between normals in degrees, of the pixels that count. The length of a prediction does not matter; one of length 0 is
 * 90° off.
 * @param prediction @param target (…, 3). @param mask (…), 1 where a normal counts.
 * @throws SpatialError SHAPE_MISMATCH.
 */
export const normalAngles = (
  prediction: ArrayLike<number>,
  target: ArrayLike<number>,
  mask: ArrayLike<number>,
): Float64Array => {
  requireLength('predicted normals', target.length, prediction.length);
  requireLength('mask of normals', target.length / 3, mask.length);
  const at = (normals: ArrayLike<number>, i: number) =>
    [normals[3 * i]!, normals[3 * i + 1]!, normals[3 * i + 2]!] as const;
  const angles: number[] = [];
  for (let i = 0; i < mask.length; i++) {
    if (!mask[i]) continue;
    const found = at(prediction, i);
    const isZero = found.every((value) => value === 0);
    angles.push(isZero ? 90 : angleBetween(found, at(target, i)) * DEGREES);
  }
  return Float64Array.from(angles);
};

/**
 * @param angles in degrees, at least one. Thresholds and statistics are those of Fouhey et al. (ICCV 2013), which probe3d
 * uses as well.
 */
export const summariseAngles = (angles: Float64Array): NormalErrors => {
  const sorted = angles.slice().sort();
  const middle = (sorted.length - 1) / 2;
  const mean = (of: (angle: number) => number) =>
    angles.reduce((sum, angle) => sum + of(angle), 0) / angles.length;
  const within = (limit: number) => mean((angle) => (angle < limit ? 1 : 0));
  return {
    meanDeg: mean((angle) => angle),
    medianDeg: (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2,
    rmseDeg: Math.sqrt(mean((angle) => angle * angle)),
    within11: within(11.25),
    within22: within(22.5),
    within30: within(30),
  };
};
