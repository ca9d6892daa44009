import { nearestDistances } from './nearest.js';

/** Errors of a point cloud beside another, in the unit of the points. */
export interface CloudErrors {
  /** Mean distance from a predicted point to the nearest target point. */
  readonly accuracy: number;
  /** Mean distance from a target point to the nearest predicted point. */
  readonly completeness: number;
  /** Chamfer distance: the mean of the two. */
  readonly chamfer: number;
  /** Share of the predicted points nearer to the target than the threshold. */
  readonly precision: number;
  /** Share of the target points nearer to the prediction than the threshold. */
  readonly recall: number;
  /** Harmonic mean of precision and recall; 0 where both are. */
  readonly fScore: number;
}

/**
 * Chamfer distance and F-score of two clouds without correspondence.
 * @param prediction (N, 3). @param target (M, 3). @param threshold distance up to which a point counts as found.
 * @returns NaN throughout where one of them is empty.
 * Source: Knapitsch et al. (2017), Tanks and Temples, section 4; Depth Anything 3, bench/utils.py.
 */
export function cloudErrors(
  prediction: ArrayLike<number>,
  target: ArrayLike<number>,
  threshold: number,
): CloudErrors {
  const [forth, back] =
    prediction.length === 0 || target.length === 0
      ? [new Float64Array(), new Float64Array()]
      : [nearestDistances(prediction, target), nearestDistances(target, prediction)];
  const [accuracy, completeness] = [mean(forth), mean(back)];
  const [precision, recall] = [shareBelow(forth, threshold), shareBelow(back, threshold)];
  const sum = precision + recall;
  return {
    accuracy,
    completeness,
    chamfer: (accuracy + completeness) / 2,
    precision,
    recall,
    fScore: sum === 0 ? 0 : (2 * precision * recall) / sum,
  };
}

const mean = (values: Float64Array): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

const shareBelow = (values: Float64Array, limit: number): number =>
  values.filter((value) => value < limit).length / values.length;
