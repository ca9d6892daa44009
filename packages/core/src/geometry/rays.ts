import { SpatialError } from '../errors.js';
import type { GeometryConventionsV1 } from '../spec.js';
import {
  type Camera,
  type ImageSize,
  invertRigid,
  matrixOfView,
  type PixelCentre,
  pixelOffset,
  rotationOf,
  translationOf,
} from './cameras.js';
import { apply3, invert3, multiply3, type Triple } from './matrix.js';

export const RAY_CHANNELS = 6;

/** Cameras of a view set. */
export interface CameraStack {
  readonly views: number;
  /** (V, 3, 3) pixels of the label. */
  readonly intrinsics: ArrayLike<number>;
  /** (V, 3, 4). */
  readonly extrinsicsWorldToCamera: ArrayLike<number>;
  readonly pixelCentre: PixelCentre;
}

/** Camera of one view of a stack. */
export const cameraOfView = (cameras: CameraStack, view: number): Camera => ({
  intrinsics: matrixOfView(cameras.intrinsics, view, 9),
  extrinsicsWorldToCamera: matrixOfView(cameras.extrinsicsWorldToCamera, view, 12),
});

/** Pixel (u, v, 1) → world direction with camera-z 1: R_c2w·K⁻¹, (3, 3). */
const directionMatrix = (camera: Camera): number[] =>
  multiply3(rotationOf(invertRigid(camera.extrinsicsWorldToCamera)), invert3(camera.intrinsics));

/**
 * Ray of one pixel: point = origin + z-depth · direction.
 * @param u @param v pixel coordinates (index plus the offset of the pixel convention).
 * Equation 8: d = R·K⁻¹·[u v 1]ᵀ with R, t camera-to-world; origin = t = camera centre.
 */
export const pixelRay = (
  camera: Camera,
  u: number,
  v: number,
): { readonly origin: Triple; readonly direction: Triple } => ({
  origin: translationOf(invertRigid(camera.extrinsicsWorldToCamera)),
  direction: apply3(directionMatrix(camera), [u, v, 1]),
});

/** Fills (H, W, 6) of one view, beginning at `start`. */
const fillRays = (
  rays: Float32Array,
  start: number,
  camera: Camera,
  size: ImageSize,
  offset: number,
): void => {
  const [x, y, z] = translationOf(invertRigid(camera.extrinsicsWorldToCamera));
  const m = directionMatrix(camera);
  let o = start;
  for (let row = 0; row < size.height; row++) {
    const v = row + offset;
    for (let column = 0; column < size.width; column++) {
      const u = column + offset;
      rays[o] = x;
      rays[o + 1] = y;
      rays[o + 2] = z;
      rays[o + 3] = m[0]! * u + m[1]! * v + m[2]!;
      rays[o + 4] = m[3]! * u + m[4]! * v + m[5]!;
      rays[o + 5] = m[6]! * u + m[7]! * v + m[8]!;
      o += RAY_CHANNELS;
    }
  }
};

/**
 * Ray map of a view set.
 * @returns (V, H, W, 6) float32: origin (3), direction (3, camera-z 1, not normalised), world frame. Equation 8.
 */
export const rayMap = (cameras: CameraStack, size: ImageSize): Float32Array => {
  const perView = size.width * size.height * RAY_CHANNELS;
  const rays = new Float32Array(cameras.views * perView);
  for (let view = 0; view < cameras.views; view++)
    fillRays(
      rays,
      view * perView,
      cameraOfView(cameras, view),
      size,
      pixelOffset(cameras.pixelCentre),
    );
  return rays;
};

/** Error when two arrays that belong together differ in size. */
export const requireLength = (what: string, expected: number, found: number): void => {
  if (found === expected) return;
  throw new SpatialError({
    code: 'SHAPE_MISMATCH',
    message: `${what}: expected ${expected} values, found ${found}`,
    hint: 'Both arrays must describe the same views at the same resolution.',
  });
};

/**
 * World points of rays: origin + z-depth · direction, equation 9.
 * @param rays (…, 6). @param depth (…) along camera z.
 * @returns (…, 3) float32.
 * @throws SpatialError SHAPE_MISMATCH.
 */
export const pointsFromRays = (rays: ArrayLike<number>, depth: ArrayLike<number>): Float32Array => {
  requireLength('rays', depth.length * RAY_CHANNELS, rays.length);
  const points = new Float32Array(depth.length * 3);
  for (let i = 0; i < depth.length; i++) {
    const r = i * RAY_CHANNELS;
    const p = i * 3;
    const d = depth[i]!;
    points[p] = rays[r]! + d * rays[r + 3]!;
    points[p + 1] = rays[r + 1]! + d * rays[r + 4]!;
    points[p + 2] = rays[r + 2]! + d * rays[r + 5]!;
  }
  return points;
};

/**
 * Unprojects z-depth into world points, equations 8 and 9.
 * @param depth (V, H, W) along camera z.
 * @returns (V, H, W, 3) float32, world frame, in the unit of depth and translations.
 * @throws SpatialError SHAPE_MISMATCH.
 */
export const unprojectDepth = (
  depth: ArrayLike<number>,
  cameras: CameraStack,
  size: ImageSize,
): Float32Array => {
  requireLength('depth', cameras.views * size.width * size.height, depth.length);
  return pointsFromRays(rayMap(cameras, size), depth);
};

/**
 * Pixel and z-depth of world points: [u v 1]ᵀ·z = K·(R·P + t).
 * @param points (N, 3) world frame.
 * @returns (N, 3) float32: u, v in pixels of the camera's convention, z along the camera's axis (≤ 0 behind it).
 */
export const projectPoints = (points: ArrayLike<number>, camera: Camera): Float32Array => {
  const k = camera.intrinsics;
  const e = camera.extrinsicsWorldToCamera;
  const projected = new Float32Array(points.length);
  for (let i = 0; i < points.length; i += 3) {
    const px = points[i]!;
    const py = points[i + 1]!;
    const pz = points[i + 2]!;
    const x = e[0]! * px + e[1]! * py + e[2]! * pz + e[3]!;
    const y = e[4]! * px + e[5]! * py + e[6]! * pz + e[7]!;
    const z = e[8]! * px + e[9]! * py + e[10]! * pz + e[11]!;
    projected[i] = (k[0]! * x + k[1]! * y) / z + k[2]!;
    projected[i + 1] = (k[4]! * y) / z + k[5]!;
    projected[i + 2] = z;
  }
  return projected;
};

/**
 * z-depth of world points in the views that saw them.
 * @param points (V, H, W, 3) world frame. @param extrinsicsWorldToCamera (V, 3, 4).
 * @returns (V, H, W) float32.
 */
export const depthFromPoints = (
  points: ArrayLike<number>,
  extrinsicsWorldToCamera: ArrayLike<number>,
): Float32Array => {
  const views = extrinsicsWorldToCamera.length / 12;
  const depth = new Float32Array(points.length / 3);
  const perView = depth.length / views;
  for (let i = 0; i < depth.length; i++) {
    const e = Math.floor(i / perView) * 12 + 8;
    const x = extrinsicsWorldToCamera;
    depth[i] =
      x[e]! * points[3 * i]! +
      x[e + 1]! * points[3 * i + 1]! +
      x[e + 2]! * points[3 * i + 2]! +
      x[e + 3]!;
  }
  return depth;
};

/** Cameras of labels or of anything else that carries a convention record. */
export const cameraStack = (labels: {
  readonly conventions: GeometryConventionsV1;
  readonly views: number;
  readonly intrinsics: ArrayLike<number>;
  readonly extrinsicsWorldToCamera: ArrayLike<number>;
}): CameraStack => ({ ...labels, pixelCentre: labels.conventions.pixelCentre });
