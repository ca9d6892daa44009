import { pointsFromRays } from '@spatialsv/core';
import type { LiftPredictions } from './lift-input.js';

/** How far the points of depth along the rays and those of the point head are apart, in one view. */
export interface HeadAgreement {
  /** Mean distance, in the unit of the maps. */
  readonly distance: number;
  /** The same divided by the mean distance of both kinds of points from the origin: 0 where the heads say the same. */
  readonly relative: number;
}

/**
 * Agreement of the two ways in which a model says where things are: `origin + depth · direction` of the depth and ray heads,
 * and the point head.
 * @returns by view, with `distances` (V, H, W); undefined where a head is missing.
 */
export function headAgreement(
  predictions: LiftPredictions,
): { readonly views: readonly HeadAgreement[]; readonly distances: Float32Array } | undefined {
  const { depth, rays, points, views, height, width } = predictions;
  if (rays === undefined || points === undefined) return undefined;
  const along = pointsFromRays(rays, depth);
  const distances = Float32Array.from(depth, (_, i) => separation(along, points, i));
  const pixels = height * width;
  const ofView = (view: number): HeadAgreement => {
    let [distance, norm] = [0, 0];
    for (let i = view * pixels; i < (view + 1) * pixels; i++) {
      distance += distances[i]! / pixels;
      norm += (length(along, i) + length(points, i)) / 2 / pixels;
    }
    return { distance, relative: distance / norm };
  };
  return { views: Array.from({ length: views }, (_, view) => ofView(view)), distances };
}

const separation = (a: Float32Array, b: Float32Array, i: number): number =>
  Math.hypot(a[3 * i]! - b[3 * i]!, a[3 * i + 1]! - b[3 * i + 1]!, a[3 * i + 2]! - b[3 * i + 2]!);

const length = (a: Float32Array, i: number): number =>
  Math.hypot(a[3 * i]!, a[3 * i + 1]!, a[3 * i + 2]!);
