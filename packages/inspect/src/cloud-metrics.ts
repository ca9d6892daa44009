import {
  alignSimilarity,
  applySimilarity,
  type CloudErrors,
  cloudErrors,
  type GeometryLabelsV1,
  labelMaps,
  meanPointNorm,
} from '@spatialsv/core';
import { isFinitePoint, thin } from './point-cloud.js';

/** Point clouds of a model beside those of labels. */
export interface CloudMetrics {
  /** Distance up to which a point counts as found: 5 % of the mean distance of the labels' points from the origin. */
  readonly threshold: number;
  /** As they are. */
  readonly raw: CloudErrors;
  /** After the similarity that brings the points of equal pixels together best; absent where there is none. */
  readonly aligned?: CloudErrors;
}

const THRESHOLD_SHARE = 0.05;
/** Larger clouds are thinned evenly before nearest points are looked for. */
const MOST_POINTS = 20_000;

/**
 * Chamfer distance and F-score of the points that a model sees at the valid pixels of labels.
 * @param points (V, H, W, 3) in the frame of the labels.
 * @returns undefined where no pixel is valid.
 */
export function cloudMetrics(
  points: Float32Array,
  labels: GeometryLabelsV1,
): CloudMetrics | undefined {
  const target = labelMaps(labels).points;
  const pixels = thin(validPixels(points, labels.mask), MOST_POINTS);
  if (pixels.length === 0) return undefined;
  const found = gather(points, pixels);
  const wanted = gather(target, pixels);
  const threshold = THRESHOLD_SHARE * meanPointNorm(target, labels.mask);
  const similarity = alignSimilarity(found, wanted);
  return {
    threshold,
    raw: cloudErrors(found, wanted, threshold),
    ...(similarity && {
      aligned: cloudErrors(applySimilarity(similarity, found), wanted, threshold),
    }),
  };
}

function validPixels(points: Float32Array, mask: Uint8Array): number[] {
  const valid: number[] = [];
  for (let i = 0; i < mask.length; i++)
    if (mask[i] === 1 && isFinitePoint(points, i)) valid.push(i);
  return valid;
}

function gather(points: Float32Array, pixels: readonly number[]): Float32Array {
  const rows = new Float32Array(pixels.length * 3);
  for (const [row, i] of pixels.entries()) rows.set(points.subarray(3 * i, 3 * i + 3), 3 * row);
  return rows;
}
