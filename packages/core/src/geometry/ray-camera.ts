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

/** Rows and columns of the entries on and above the diagonal of a symmetric 3×3 matrix. */
const UPPER = [
  [0, 0],
  [0, 1],
  [0, 2],
  [1, 1],
  [1, 2],
  [2, 2],
] as const;

/** Where entry (row, column) of a symmetric 3×3 matrix stands in {@link UPPER}. */
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

function normalMatrix({ plane, direction, weight }: RaySet, chosen: Int32Array): Matrix {
  const sums = new Float64Array(36);
  const p = new Float64Array(3).fill(1);
  for (const ray of chosen) {
    p[0] = plane[2 * ray]!;
    p[1] = plane[2 * ray + 1]!;
    for (let outer = 0; outer < 6; outer++) {
      const [row, column] = UPPER[outer]!;
      const product = direction[3 * ray + row]! * direction[3 * ray + column]!;
      const projector = weight[ray]! * ((row === column ? 1 : 0) - product);
      for (let inner = 0; inner < 6; inner++)
        sums[6 * outer + inner]! += projector * p[UPPER[inner]![0]]! * p[UPPER[inner]![1]]!;
    }
  }
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
  for (const ray of chosen) {
    const [x, y, z] = apply3(a, [plane[2 * ray]!, plane[2 * ray + 1]!, 1]);
    const at = 3 * ray;
    sum += weight[ray]! * (x * direction[at]! + y * direction[at + 1]! + z * direction[at + 2]!);
  }
  return sum;
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
