/** Cameras fitted to chosen rays of a set: what `poseFromRays` and `robustPoseFromRays` have in common. */
import { EVD, Matrix, QR } from 'ml-matrix';
import { type ImageSize, type PixelCentre, pixelOffset } from './cameras.js';
import { apply3, determinant3, invert3, type Matrix3, multiply3, type Triple } from './matrix.js';
import { DEGENERATE, rotationFromCovariance } from './procrustes.js';
import type { RaySet } from './ray-set.js';

/** In which pixels intrinsics are. */
export interface ImagePixels {
  readonly image: ImageSize;
  readonly pixelCentre: PixelCentre;
}

/** A camera without its place. */
export interface TurnedCamera {
  /** (3, 3) camera to world. */
  readonly rotation: number[];
  /** (3, 3) pixels of the image. */
  readonly intrinsics: number[];
}

/** Where entry (row, column) of a symmetric 3×3 matrix stands among those on and above the diagonal, row by row. */
const UPPER_INDEX = [0, 1, 2, 1, 3, 4, 2, 4, 5] as const;

/**
 * The 3×3 matrix A that maps plane points onto directions up to their lengths, minimising Σ w‖d × A·p‖². For unit d
 * that is aᵀN a with N = Σ w (I − d·dᵀ) ⊗ p·pᵀ, so the smallest eigenvector of a 9×9 matrix is the answer.
 * @param chosen numbers of the rays that count.
 * @returns undefined when the rays leave A undetermined.
 */
export function fitHomography(rays: RaySet, chosen: Int32Array): number[] | undefined {
  const { realEigenvalues, eigenvectorMatrix } = new EVD(normalMatrix(rays, chosen), {
    assumeSymmetric: true,
  });
  const order = [...realEigenvalues.keys()].sort(
    (a, b) => realEigenvalues[a]! - realEigenvalues[b]!,
  );
  const [smallest, second] = order as [number, number];
  if (!(realEigenvalues[second]! > DEGENERATE * realEigenvalues[order[8]!]!)) return undefined;
  const a = eigenvectorMatrix.getColumn(smallest);
  return agreement(rays, chosen, a) < 0 ? a.map((value) => -value) : a;
}

/** Σ w (I − d·dᵀ) ⊗ p·pᵀ over the chosen rays, (9, 9). */
function normalMatrix({ plane, direction, weight }: RaySet, chosen: Int32Array): Matrix {
  const sums = new Float64Array(36);
  const projector = new Float64Array(6);
  for (let i = 0; i < chosen.length; i++) {
    const ray = chosen[i]!;
    const [u, v, w] = [plane[2 * ray]!, plane[2 * ray + 1]!, weight[ray]!];
    const [x, y, z] = [direction[3 * ray]!, direction[3 * ray + 1]!, direction[3 * ray + 2]!];
    projector[0] = w * (1 - x * x);
    projector[1] = -w * x * y;
    projector[2] = -w * x * z;
    projector[3] = w * (1 - y * y);
    projector[4] = -w * y * z;
    projector[5] = w * (1 - z * z);
    addProducts(sums, projector, u, v);
  }
  return unfold(sums);
}

/** Adds the products of the six entries of a projector and of the six of p·pᵀ, p = (u, v, 1). */
function addProducts(sums: Float64Array, projector: Float64Array, u: number, v: number): void {
  for (let outer = 0; outer < 6; outer++) {
    const [at, value] = [6 * outer, projector[outer]!];
    const [byU, byV] = [value * u, value * v];
    sums[at]! += byU * u;
    sums[at + 1]! += byU * v;
    sums[at + 2]! += byU;
    sums[at + 3]! += byV * v;
    sums[at + 4]! += byV;
    sums[at + 5]! += value;
  }
}

/** Both symmetric factors written out. */
function unfold(sums: Float64Array): Matrix {
  const matrix = Matrix.zeros(9, 9);
  for (let i = 0; i < 9; i++)
    for (let j = 0; j < 9; j++) {
      const outer = UPPER_INDEX[3 * Math.floor(i / 3) + Math.floor(j / 3)]!;
      const inner = UPPER_INDEX[3 * (i % 3) + (j % 3)]!;
      matrix.set(i, j, sums[6 * outer + inner]!);
    }
  return matrix;
}

function agreement({ plane, direction, weight }: RaySet, chosen: Int32Array, a: Matrix3): number {
  let sum = 0;
  for (let i = 0; i < chosen.length; i++) {
    const ray = chosen[i]!;
    const [u, v, at] = [plane[2 * ray]!, plane[2 * ray + 1]!, 3 * ray];
    const x = a[0]! * u + a[1]! * v + a[2]!;
    const y = a[3]! * u + a[4]! * v + a[5]!;
    const z = a[6]! * u + a[7]! * v + a[8]!;
    sum += weight[ray]! * (x * direction[at]! + y * direction[at + 1]! + z * direction[at + 2]!);
  }
  return sum;
}

/**
 * The matrix A that maps four plane points onto four directions: with p₄ = Σ λᵢ pᵢ and d₄ = Σ μᵢ dᵢ (i = 1 … 3) it maps λᵢ pᵢ
 * onto μᵢ dᵢ, so A = D·P⁻¹ of the scaled columns.
 * @returns undefined where three of the points or of the directions lie in a line or a plane, or where A turns a ray around: no
 *   camera sees a ray behind itself, and λᵢ and μᵢ of unlike signs say so before any other ray is looked at (Chum, Werner and Matas
 *   2004, the oriented constraint, there of epipolar geometry).
 */
export function homographyOfFour(
  { plane, direction }: RaySet,
  chosen: Int32Array,
): number[] | undefined {
  const points = columns(chosen, (ray) => [plane[2 * ray]!, plane[2 * ray + 1]!, 1]);
  const inverse = invert3(points.basis);
  const lambda = apply3(inverse, points.last);
  const directions = columns(chosen, (ray) => [
    direction[3 * ray]!,
    direction[3 * ray + 1]!,
    direction[3 * ray + 2]!,
  ]);
  const mu = apply3(invert3(directions.basis), directions.last);
  const scales = mu.map((value, i) => value / lambda[i]!);
  // Also where a basis is singular: a scale is no number, 0 or infinite then.
  if (!scales.every((scale) => scale > DEGENERATE && scale < 1 / DEGENERATE)) return undefined;
  return multiply3(
    directions.basis.map((value, i) => value * scales[i % 3]!),
    inverse,
  );
}

/** Vectors of the first three rays as columns, and that of the fourth. */
function columns(chosen: Int32Array, vector: (ray: number) => Triple) {
  const [a, b, c, last] = Array.from(chosen, vector) as [Triple, Triple, Triple, Triple];
  // biome-ignore format: rows of a matrix
  const basis = [a[0], b[0], c[0], a[1], b[1], c[1], a[2], b[2], c[2]];
  return { basis, last };
}

/** A = Q·U with a positive diagonal of U; undefined when Q mirrors or A is singular. */
const factorise = (a: Matrix3): { rotation: number[]; upper: number[] } | undefined => {
  const qr = new QR(Matrix.from1DArray(3, 3, Array.from(a)));
  const [q, u] = [qr.orthogonalMatrix.to1DArray(), qr.upperTriangularMatrix.to1DArray()];
  const signs = [0, 4, 8].map((i) => Math.sign(u[i]!));
  const rotation = q.map((value, i) => value * signs[i % 3]!);
  const upper = u.map((value, i) => value * signs[Math.floor(i / 3)]!);
  const isRegular = [0, 4, 8].every((i) => upper[i]! > DEGENERATE);
  return isRegular && determinant3(rotation) > 0 ? { rotation, upper } : undefined;
};

/** Rotation and intrinsics of a homography; undefined where it is singular or mirrors. */
export function cameraOfHomography(a: Matrix3, pixels: ImagePixels): TurnedCamera | undefined {
  const factors = factorise(a);
  if (!factors) return undefined;
  const normalised = invert3(factors.upper.map((value) => value / factors.upper[8]!));
  const intrinsics = multiply3(planeToPixels(pixels), normalised);
  return { rotation: factors.rotation, intrinsics };
}

/** Plane coordinates in (−1, 1) → pixels of the image in its own convention, (3, 3). */
export const planeToPixels = ({ image, pixelCentre }: ImagePixels): number[] => {
  const shift = pixelOffset(pixelCentre) - 0.5;
  const [halfWidth, halfHeight] = [image.width / 2, image.height / 2];
  return [halfWidth, 0, halfWidth + shift, 0, halfHeight, halfHeight + shift, 0, 0, 1];
};

/**
 * Rotation R with d ≈ R·K⁻¹p for unit vectors, in the least-squares sense (Kabsch).
 * @param toCamera (3, 3) from the plane to directions of the camera, K⁻¹ of the plane.
 * @returns undefined when the rays do not span a plane.
 */
export function fitRotation(
  { plane, direction, weight }: RaySet,
  chosen: Int32Array,
  toCamera: Matrix3,
): number[] | undefined {
  const sums = new Float64Array(9);
  for (const ray of chosen) {
    const [x, y, z] = apply3(toCamera, [plane[2 * ray]!, plane[2 * ray + 1]!, 1]);
    const scale = weight[ray]! / Math.hypot(x, y, z);
    const source: Triple = [x * scale, y * scale, z * scale];
    for (let i = 0; i < 9; i++)
      sums[i]! += direction[3 * ray + Math.floor(i / 3)]! * source[i % 3]!;
  }
  return rotationFromCovariance(Matrix.from1DArray(3, 3, sums))?.rotation;
}
