import type { SceneCamera } from './scene.js';

export const radians = (degrees: number): number => (degrees * Math.PI) / 180;
export const degrees = (angle: number): number => (angle * 180) / Math.PI;

/** Degrees wrapped to (−180, 180]. */
export const wrapDegrees = (angle: number): number => {
  const wrapped = ((angle % 360) + 360) % 360;
  return wrapped > 180 ? wrapped - 360 : wrapped;
};

/**
 * Pinhole intrinsics of an image of this size, pixel centres at half integers (u = j + ½).
 * The field of view is given for the camera's own aspect ratio `width : height` of the image.
 * @returns (3, 3) row-major, pixels.
 */
export const intrinsicsOf = (camera: SceneCamera, width: number, height: number): Float64Array => {
  const focal = width / 2 / Math.tan(radians(camera.fovDeg) / 2);
  return Float64Array.of(focal, 0, width / 2, 0, focal, height / 2, 0, 0, 1);
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
