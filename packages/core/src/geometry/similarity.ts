import { Matrix } from 'ml-matrix';
import { apply3, type Triple } from './matrix.js';
import { rotationFromCovariance } from './procrustes.js';

/** p ↦ scale · R·p + t. */
export interface Similarity {
  readonly scale: number;
  /** (3, 3). */
  readonly rotation: readonly number[];
  readonly translation: Triple;
}

const mean3 = (points: ArrayLike<number>): Triple => {
  const sum: Triple = [0, 0, 0];
  for (let i = 0; i < points.length; i++) sum[i % 3]! += points[i]!;
  const count = points.length / 3;
  return [sum[0] / count, sum[1] / count, sum[2] / count];
};

/**
 * Least-squares similarity that takes `source` onto `target` (Umeyama 1991).
 * @param source @param target (N, 3) corresponding points.
 * @param options `scale: false` keeps lengths (a rigid motion).
 * @returns undefined when the points do not determine it: fewer than three, or on one line.
 * Equation: Σ = (1/n)·Y·Xᵀ = U·D·Vᵀ, R = U·S·Vᵀ, s = tr(D·S)/var(X), t = ȳ − s·R·x̄.
 */
export const alignSimilarity = (
  source: ArrayLike<number>,
  target: ArrayLike<number>,
  options: { readonly scale?: boolean } = {},
): Similarity | undefined => {
  const count = source.length / 3;
  const [from, to] = [mean3(source), mean3(target)];
  const covariance = Matrix.zeros(3, 3);
  let variance = 0;
  for (let i = 0; i < count; i++)
    for (let column = 0; column < 3; column++) {
      const x = source[3 * i + column]! - from[column]!;
      variance += (x * x) / count;
      for (let row = 0; row < 3; row++) {
        const y = target[3 * i + row]! - to[row]!;
        covariance.set(row, column, covariance.get(row, column) + (y * x) / count);
      }
    }
  const nearest = count >= 3 ? rotationFromCovariance(covariance) : undefined;
  if (!nearest) return undefined;
  const scale = options.scale === false ? 1 : nearest.trace / variance;
  const moved = apply3(nearest.rotation, from);
  const shift = (axis: number): number => to[axis]! - scale * moved[axis]!;
  return { scale, rotation: nearest.rotation, translation: [shift(0), shift(1), shift(2)] };
};

/** Points (N, 3) moved by a similarity. @returns (N, 3) float32. */
export const applySimilarity = (
  { scale, rotation, translation }: Similarity,
  points: ArrayLike<number>,
): Float32Array => {
  const moved = new Float32Array(points.length);
  for (let i = 0; i < points.length; i += 3) {
    const rotated = apply3(rotation, [points[i]!, points[i + 1]!, points[i + 2]!]);
    for (let axis = 0; axis < 3; axis++)
      moved[i + axis] = scale * rotated[axis]! + translation[axis]!;
  }
  return moved;
};
