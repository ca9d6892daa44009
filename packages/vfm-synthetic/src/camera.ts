import type { SceneCamera } from './scene.js';

export const radians = (degrees: number): number => (degrees * Math.PI) / 180;
export const degrees = (angle: number): number => (angle * 180) / Math.PI;

/** Degrees wrapped to (−180, 180]. */
export const wrapDegrees = (angle: number): number => {
  const wrapped = ((angle % 360) + 360) % 360;
  return wrapped > 180 ? wrapped - 360 : wrapped;
};

/**
 * Pinhole intrinsics of a picture of this size, pixel centres at half integers (u = j + ½).
 * The field of view is given for the camera's own aspect ratio `width : height` of the picture.
 * @returns (3, 3) row-major, pixels.
 */
export const intrinsicsOf = (camera: SceneCamera, width: number, height: number): Float64Array => {
  const focal = width / 2 / Math.tan(radians(camera.fovDeg) / 2);
  return Float64Array.of(focal, 0, width / 2, 0, focal, height / 2, 0, 0, 1);
};

/** Intrinsics of the same picture resampled to another size: u' = u·W'/W, exact for half-integer pixel centres. */
export const scaleIntrinsics = (
  intrinsics: ArrayLike<number>,
  from: { readonly width: number; readonly height: number },
  to: { readonly width: number; readonly height: number },
): Float64Array => {
  const x = to.width / from.width;
  const y = to.height / from.height;
  return Float64Array.from(intrinsics, (value, index) =>
    index < 3 ? value * x : index < 6 ? value * y : value,
  );
};

/**
 * World-to-camera matrix [R | t] with the room frame as world.
 * The rows of R are the camera's right, down and forward axes; t = −R·centre.
 * @returns (3, 4) row-major, metres, OpenCV axes.
 */
export const roomToCamera = (camera: SceneCamera): Float64Array => {
  const [sy, cy] = [Math.sin(radians(camera.yawDeg)), Math.cos(radians(camera.yawDeg))];
  const [sp, cp] = [Math.sin(radians(camera.pitchDeg)), Math.cos(radians(camera.pitchDeg))];
  // biome-ignore format: a matrix keeps its rows
  const axes = [
    cy, 0, -sy,
    -sy * sp, cp, -cy * sp,
    sy * cp, sp, cy * cp,
  ];
  const [x, y, z] = camera.position;
  const pose = new Float64Array(12);
  for (let row = 0; row < 3; row++) {
    const [a, b, c] = [axes[3 * row]!, axes[3 * row + 1]!, axes[3 * row + 2]!];
    pose.set([a, b, c, -(a * x + b * y + c * z)], 4 * row);
  }
  return pose;
};

/**
 * Rewrites world-to-camera poses so that the world is the first camera: E_i := E_i · E_0⁻¹.
 * @param poses (3, 4) row-major each.
 */
export const relativeToFirst = (poses: readonly Float64Array[]): Float64Array[] => {
  const first = poses[0];
  if (first === undefined) return [];
  return poses.map((pose) => composeWithInverse(pose, first));
};

/** a · b⁻¹ of rigid transforms: R = Ra·Rbᵀ, t = ta − R·tb. */
const composeWithInverse = (a: Float64Array, b: Float64Array): Float64Array => {
  const result = new Float64Array(12);
  for (let row = 0; row < 3; row++) {
    for (let column = 0; column < 3; column++) {
      let sum = 0;
      for (let k = 0; k < 3; k++) sum += a[4 * row + k]! * b[4 * column + k]!;
      result[4 * row + column] = sum;
    }
    let moved = 0;
    for (let k = 0; k < 3; k++) moved += result[4 * row + k]! * b[4 * k + 3]!;
    result[4 * row + 3] = a[4 * row + 3]! - moved;
  }
  return result;
};
