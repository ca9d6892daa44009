import { type ImageSize, invertRigid, type PixelCentre, rigidFrom } from './cameras.js';
import { invert3, type Matrix3, multiply3, type Triple } from './matrix.js';
import {
  cameraOfHomography,
  fitHomography,
  fitRotation,
  planeToPixels,
  type TurnedCamera,
} from './ray-camera.js';
import { allRays, collectRays, type RaySet } from './ray-set.js';

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
  const usable = collectRays(rays, options.grid, options.confidence);
  const chosen = allRays(usable);
  const camera = solveCamera(usable, chosen, options);
  return camera && placed(camera, weightedCentre(usable, chosen));
};

function solveCamera(
  rays: RaySet,
  chosen: Int32Array,
  options: PoseFromRaysOptions,
): TurnedCamera | undefined {
  const { intrinsics } = options;
  if (intrinsics === undefined) {
    const homography = fitHomography(rays, chosen);
    return homography && cameraOfHomography(homography, options);
  }
  const toCamera = multiply3(invert3(intrinsics), planeToPixels(options));
  const rotation = fitRotation(rays, chosen, toCamera);
  return rotation && { rotation, intrinsics: Array.from(intrinsics) };
}

/** A camera at its centre. */
export const placed = ({ rotation, intrinsics }: TurnedCamera, centre: Triple): RayPose => ({
  intrinsics,
  extrinsicsWorldToCamera: invertRigid(rigidFrom(rotation, centre)),
});

/** Mean origin of the chosen rays. */
export function weightedCentre({ origin, weight }: RaySet, chosen: Int32Array): Triple {
  const sum: Triple = [0, 0, 0];
  let total = 0;
  for (const ray of chosen) {
    for (let axis = 0; axis < 3; axis++) sum[axis]! += weight[ray]! * origin[3 * ray + axis]!;
    total += weight[ray]!;
  }
  return [sum[0] / total, sum[1] / total, sum[2] / total];
}
