import {
  cameraCentre,
  composeRigid,
  invertRigid,
  matrixOfView,
  rotationOf,
  translationOf,
} from './cameras.js';
import { RAY_CHANNELS, requireLength } from './rays.js';
import { angleBetween, rotationAngle } from './rotation.js';
import { alignSimilarity, applySimilarity } from './similarity.js';

const DEGREES = 180 / Math.PI;

/** Errors of all pairs of views i < j, in degrees. */
export interface PairErrors {
  readonly rotationDeg: readonly number[];
  /** Angle between relative translation directions, folded by the ambiguity of their sign. */
  readonly translationDeg: readonly number[];
}

/**
 * Relative pose errors of all pairs of views: E_i·E_j⁻¹ of the prediction against that of the target.
 * @param prediction @param target (V, 3, 4) world-to-camera.
 * @throws SpatialError SHAPE_MISMATCH.
 * Source: VGGT, evaluation/test_co3d.py. The other composition in use (E_i⁻¹·E_j) gives other numbers.
 */
export const pairErrors = (
  prediction: ArrayLike<number>,
  target: ArrayLike<number>,
): PairErrors => {
  requireLength('predicted extrinsics', target.length, prediction.length);
  const views = target.length / 12;
  const rotationDeg: number[] = [];
  const translationDeg: number[] = [];
  for (let i = 0; i < views; i++)
    for (let j = i + 1; j < views; j++) {
      const [p, g] = [relativePose(prediction, i, j), relativePose(target, i, j)];
      rotationDeg.push(rotationAngle(rotationOf(p), rotationOf(g)) * DEGREES);
      const angle = angleBetween(translationOf(p), translationOf(g)) * DEGREES;
      translationDeg.push(Math.min(angle, 180 - angle));
    }
  return { rotationDeg, translationDeg };
};

const relativePose = (extrinsics: ArrayLike<number>, i: number, j: number): number[] =>
  composeRigid(matrixOfView(extrinsics, i, 12), invertRigid(matrixOfView(extrinsics, j, 12)));

/** Relative rotation and translation accuracy, and the area under their joint accuracy curve. */
export interface PoseAccuracy {
  /** Fraction of pairs with a rotation error below the threshold. */
  readonly rra: number;
  /** Fraction of pairs with a translation error below the threshold. */
  readonly rta: number;
  /** Mean over whole degrees up to the threshold of the fraction of pairs whose larger error lies below. */
  readonly auc: number;
}

const fraction = (values: readonly number[], limit: number): number =>
  values.filter((value) => value < limit).length / values.length;

/**
 * RRA, RTA and AUC at a threshold in whole degrees.
 * AUC: histogram of max(rotation, translation error) in one-degree bins, the last one closed; mean of its cumulative sum.
 */
export const poseAccuracy = (errors: PairErrors, thresholdDeg: number): PoseAccuracy => {
  const larger = errors.rotationDeg.map((error, i) => Math.max(error, errors.translationDeg[i]!));
  let area = 0;
  for (const error of larger)
    if (error <= thresholdDeg) area += thresholdDeg - Math.min(Math.floor(error), thresholdDeg - 1);
  return {
    rra: fraction(errors.rotationDeg, thresholdDeg),
    rta: fraction(errors.translationDeg, thresholdDeg),
    auc: area / thresholdDeg / larger.length,
  };
};

const centres = (extrinsics: ArrayLike<number>): number[] =>
  Array.from({ length: extrinsics.length / 12 }, (_, view) =>
    cameraCentre(matrixOfView(extrinsics, view, 12)),
  ).flat();

/**
 * Absolute trajectory error: root mean square distance of the camera centres after the best similarity.
 * @param prediction @param target (V, 3, 4) world-to-camera.
 * @returns undefined when the centres do not determine an alignment (fewer than three, or on one line).
 */
export const trajectoryError = (
  prediction: ArrayLike<number>,
  target: ArrayLike<number>,
): number | undefined => {
  const [from, to] = [centres(prediction), centres(target)];
  const similarity = alignSimilarity(from, to);
  if (!similarity) return undefined;
  const squares = applySimilarity(similarity, from).map((value, i) => (value - to[i]!) ** 2);
  return Math.sqrt(squares.reduce((total, square) => total + square, 0) / (to.length / 3));
};

/**
 * Errors of a ray map: mean angle between directions and mean distance between origins.
 * @param prediction @param target (…, 6). @param mask (…), 1 where rays count; all when absent.
 * @throws SpatialError SHAPE_MISMATCH.
 */
export const rayErrors = (
  prediction: ArrayLike<number>,
  target: ArrayLike<number>,
  mask?: ArrayLike<number>,
): { readonly directionDeg: number; readonly originDistance: number } => {
  requireLength('predicted rays', target.length, prediction.length);
  let [angle, distance, count] = [0, 0, 0];
  for (let i = 0; i < target.length / RAY_CHANNELS; i++) {
    if (mask && !mask[i]) continue;
    const at = (rays: ArrayLike<number>, c: number): number => rays[i * RAY_CHANNELS + c]!;
    const direction = (rays: ArrayLike<number>) => [at(rays, 3), at(rays, 4), at(rays, 5)];
    angle += angleBetween(direction(prediction), direction(target)) * DEGREES;
    distance += Math.hypot(...[0, 1, 2].map((c) => at(prediction, c) - at(target, c)));
    count++;
  }
  return { directionDeg: angle / count, originDistance: distance / count };
};

/**
 * Errors of a dense point map with known pixel correspondence.
 * @param prediction @param target (…, 3). @param mask (…), 1 where points count.
 * @returns mean ‖P − P′‖, and the same divided by the mean ‖P′‖ of the target.
 * @throws SpatialError SHAPE_MISMATCH.
 */
export const pointErrors = (
  prediction: ArrayLike<number>,
  target: ArrayLike<number>,
  mask: ArrayLike<number>,
): { readonly distance: number; readonly relative: number } => {
  requireLength('predicted points', target.length, prediction.length);
  let [distance, norm, count] = [0, 0, 0];
  for (let i = 0; i < mask.length; i++) {
    if (!mask[i]) continue;
    const axes = [3 * i, 3 * i + 1, 3 * i + 2];
    distance += Math.hypot(...axes.map((k) => prediction[k]! - target[k]!));
    norm += Math.hypot(...axes.map((k) => target[k]!));
    count++;
  }
  return { distance: distance / count, relative: distance / norm };
};
