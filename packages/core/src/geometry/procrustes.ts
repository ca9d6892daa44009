import { type Matrix, SVD } from 'ml-matrix';
import { determinant3, multiply3 } from './matrix.js';

/** Singular values or eigenvalues below this fraction of the largest leave a camera undetermined. */
export const DEGENERATE = 1e-10;

/**
 * Proper rotation nearest to a covariance U·D·Vᵀ: U·S·Vᵀ with S = diag(1, 1, det U·det V).
 * @returns also tr(D·S); undefined when two singular values vanish.
 */
export const rotationFromCovariance = (
  covariance: Matrix,
): { rotation: number[]; trace: number } | undefined => {
  if (!covariance.to1DArray().every(Number.isFinite)) return undefined;
  const svd = new SVD(covariance);
  const [largest, middle, least] = svd.diagonal as [number, number, number];
  if (!(middle > DEGENERATE * largest)) return undefined;
  const u = svd.leftSingularVectors.to1DArray();
  const v = svd.rightSingularVectors.to1DArray();
  const sign = Math.sign(determinant3(u) * determinant3(v));
  const flipped = u.map((value, i) => (i % 3 === 2 ? value * sign : value));
  const transposed = [0, 3, 6, 1, 4, 7, 2, 5, 8].map((i) => v[i]!);
  return { rotation: multiply3(flipped, transposed), trace: largest + middle + sign * least };
};
