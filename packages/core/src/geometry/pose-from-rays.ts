import { EVD, Matrix, QR } from 'ml-matrix';
import {
  type ImageSize,
  invertRigid,
  type PixelCentre,
  pixelOffset,
  rigidFrom,
} from './cameras.js';
import {
  apply3,
  determinant3,
  dot3,
  invert3,
  type Matrix3,
  multiply3,
  type Triple,
} from './matrix.js';
import { DEGENERATE, rotationFromCovariance } from './procrustes.js';
import { RAY_CHANNELS } from './rays.js';

/** Camera that a ray map describes. */
export interface RayPose {
  /** (3, 3) pixels of the image. */
  readonly intrinsics: Matrix3;
  /** (3, 4). */
  readonly extrinsicsWorldToCamera: readonly number[];
}

export interface PoseFromRaysOptions {
  /** Rows and columns of the ray map. */
  readonly grid: ImageSize;
  /** Size of the image that the grid covers, in whose pixels the intrinsics are. */
  readonly image: ImageSize;
  readonly pixelCentre: PixelCentre;
  /** (H, W) weights; rays without a positive weight are ignored. */
  readonly confidence?: ArrayLike<number>;
  /** (3, 3) pixels of the image, when they are known: far more stable for noisy rays. */
  readonly intrinsics?: Matrix3;
}

interface WeightedRay {
  /** Centre of the grid cell in image edges coordinates divided by half the size, minus 1: both axes in (−1, 1). */
  readonly plane: Triple;
  /** Unit length. */
  readonly direction: Triple;
  readonly origin: Triple;
  readonly weight: number;
}

/** Usable rays: finite, with a direction and a positive weight. */
const collectRays = (
  rays: ArrayLike<number>,
  { grid, confidence }: PoseFromRaysOptions,
): readonly WeightedRay[] => {
  const collected: WeightedRay[] = [];
  for (let i = 0; i < grid.width * grid.height; i++) {
    const values = Array.from({ length: RAY_CHANNELS }, (_, c) => rays[i * RAY_CHANNELS + c]!);
    const [ox, oy, oz, dx, dy, dz] = values as [number, number, number, number, number, number];
    const length = Math.hypot(dx, dy, dz);
    const weight = confidence ? confidence[i]! : 1;
    if (!(weight > 0 && length > 0) || ![...values, weight].every(Number.isFinite)) continue;
    const row = Math.floor(i / grid.width);
    const x = (2 * (i % grid.width) + 1) / grid.width - 1;
    const y = (2 * row + 1) / grid.height - 1;
    const direction: Triple = [dx / length, dy / length, dz / length];
    collected.push({ plane: [x, y, 1], direction, origin: [ox, oy, oz], weight });
  }
  return collected;
};

/**
 * The 3×3 matrix A that maps plane points onto directions up to their lengths, minimising Σ w‖d × A·p‖². For unit d
 * that is aᵀN a with N = Σ w (I − d·dᵀ) ⊗ p·pᵀ, so the smallest eigenvector of a 9×9 matrix is the answer.
 */
const fitHomography = (rays: readonly WeightedRay[]): number[] | undefined => {
  const normal = new Float64Array(81);
  for (const { plane, direction, weight } of rays)
    for (let i = 0; i < 9; i++) {
      const row = Math.trunc(i / 3);
      const scaled = weight * plane[i % 3]!;
      for (let j = 0; j < 9; j++) {
        const column = Math.trunc(j / 3);
        const projector = (row === column ? 1 : 0) - direction[row]! * direction[column]!;
        normal[9 * i + j]! += scaled * projector * plane[j % 3]!;
      }
    }
  const { realEigenvalues, eigenvectorMatrix } = new EVD(Matrix.from1DArray(9, 9, normal), {
    assumeSymmetric: true,
  });
  const order = [...realEigenvalues.keys()].sort(
    (a, b) => realEigenvalues[a]! - realEigenvalues[b]!,
  );
  const [smallest, second] = order as [number, number];
  if (!(realEigenvalues[second]! > DEGENERATE * realEigenvalues[order[8]!]!)) return undefined;
  const a = eigenvectorMatrix.getColumn(smallest);
  const agreement = rays.reduce(
    (sum, { plane, direction, weight }) => sum + weight * dot3(apply3(a, plane), direction),
    0,
  );
  return agreement < 0 ? a.map((value) => -value) : a;
};

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

const solveCamera = (
  rays: readonly WeightedRay[],
  options: PoseFromRaysOptions,
): { rotation: number[]; intrinsics: number[] } | undefined => {
  const homography = fitHomography(rays);
  const factors = homography && factorise(homography);
  if (!factors) return undefined;
  const normalised = invert3(factors.upper.map((value) => value / factors.upper[8]!));
  const intrinsics = multiply3(planeToPixels(options), normalised);
  return { rotation: factors.rotation, intrinsics };
};

/** Plane coordinates in (−1, 1) → pixels of the image in its own convention, (3, 3). */
const planeToPixels = ({ image, pixelCentre }: PoseFromRaysOptions): number[] => {
  const shift = pixelOffset(pixelCentre) - 0.5;
  const [halfWidth, halfHeight] = [image.width / 2, image.height / 2];
  return [halfWidth, 0, halfWidth + shift, 0, halfHeight, halfHeight + shift, 0, 0, 1];
};

/**
 * Rotation R with target ≈ R·source for unit vectors, in the least-squares sense (Kabsch).
 * @returns undefined when the vectors do not span a plane.
 */
const kabsch = (
  pairs: readonly { source: Triple; target: Triple; weight: number }[],
): number[] | undefined => {
  const covariance = Matrix.zeros(3, 3);
  for (const { source, target, weight } of pairs)
    for (let i = 0; i < 9; i++) {
      const [row, column] = [Math.floor(i / 3), i % 3];
      const value = weight * target[row]! * source[column]!;
      covariance.set(row, column, covariance.get(row, column) + value);
    }
  return rotationFromCovariance(covariance)?.rotation;
};

const solveRotation = (
  rays: readonly WeightedRay[],
  intrinsics: Matrix3,
  options: PoseFromRaysOptions,
): { rotation: number[]; intrinsics: number[] } | undefined => {
  const toCamera = multiply3(invert3(intrinsics), planeToPixels(options));
  const pairs = rays.map(({ plane, direction, weight }) => {
    const [x, y, z] = apply3(toCamera, plane);
    const length = Math.hypot(x, y, z);
    const source: Triple = [x / length, y / length, z / length];
    return { source, target: direction, weight };
  });
  const rotation = kabsch(pairs);
  return rotation && { rotation, intrinsics: Array.from(intrinsics) };
};

const weightedCentre = (rays: readonly WeightedRay[]): Triple => {
  const total = rays.reduce((sum, { weight }) => sum + weight, 0);
  const mean = (axis: number): number =>
    rays.reduce((sum, { origin, weight }) => sum + weight * origin[axis]!, 0) / total;
  return [mean(0), mean(1), mean(2)];
};

/**
 * Camera of a ray map: rotation and intrinsics from the directions, centre from the origins.
 * @param rays (h, w, 6) of one view, origin then direction; the grid's cells tile the image.
 * @returns undefined when the rays determine no camera: too few, all parallel, or mirrored.
 * Method: with known intrinsics Kabsch of K⁻¹p onto d; else the homography A = R·K⁻¹ by a weighted eigenproblem and its
 * QR factorisation. Source: Depth Anything 3, utils/ray_utils.py. Deviation: QR in place of its QL factorisation,
 * which is exact only for a centred principal point.
 */
export const poseFromRays = (
  rays: ArrayLike<number>,
  options: PoseFromRaysOptions,
): RayPose | undefined => {
  const usable = collectRays(rays, options);
  const camera = options.intrinsics
    ? solveRotation(usable, options.intrinsics, options)
    : solveCamera(usable, options);
  if (!camera) return undefined;
  const cameraToWorld = rigidFrom(camera.rotation, weightedCentre(usable));
  return { intrinsics: camera.intrinsics, extrinsicsWorldToCamera: invertRigid(cameraToWorld) };
};
