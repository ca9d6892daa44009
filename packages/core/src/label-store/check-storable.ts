import { SpatialError } from '../errors.js';
import { pixelOffset } from '../geometry/cameras.js';
import {
  type Camera,
  cameraOfView,
  cameraStack,
  checkLabels,
  fovFromIntrinsics,
  type Matrix3,
  pixelRay,
  pointsFromRays,
  projectPoints,
  rotationOf,
} from '../geometry/index.js';
import { determinant3, multiply3, transpose3 } from '../geometry/matrix.js';
import type { GeometryLabelsV1 } from '../spec.js';
import { largestOf } from './precision.js';

/** What labels must keep to be stored. */
export const LABEL_LIMITS = {
  /**
   * Largest |RᵀR − I|. Half of it is the relative error of a projected point: 0.03 pixels at a width of 518. Quaternions
   * in float32 and text files of six digits keep 1e-6.
   */
  rotationError: 1e-4,
  /**
   * Horizontal and vertical, degrees. 5° is a 400 mm lens on full frame; straight-line (pinhole) lenses end near 130°, and
   * at 170° the corner of an image is 16 focal lengths off its centre.
   */
  minFieldOfView: 5,
  maxFieldOfView: 170,
  /** Pixels that a point, made in float32 and projected back, may miss its own pixel by. */
  reprojectionError: 0.5,
  /** Relative error of the depth of that point. */
  depthError: 1e-3,
  /**
   * Least share of valid pixels of the view set. Below it the scale of the scene, the mean distance of its points, hangs
   * on a few of them, and the source has not understood the images.
   */
  minValidShare: 0.05,
} as const;

/** Points of each view that are checked by the way back; rays are linear in the pixel, so a coarse grid sees all. */
const GRID = 4;

const refuse = (where: string, problem: string): SpatialError =>
  new SpatialError({
    code: 'DATA_INVALID',
    message: `${where}: ${problem}`,
    hint: 'Nothing was stored. Leave these images out, or fix the settings or the weights of the label source.',
  });

/**
 * Refuses labels that cannot be what a source meant. They are never repaired.
 * @param where what the labels are, for messages.
 * @throws SpatialError DATA_INVALID with the reason: everything of {@link checkLabels}, and the {@link LABEL_LIMITS} on
 *   rotations, intrinsics, fields of view, points (eq. 9: point = origin + depth · direction) and valid pixels.
 */
export const checkStorableLabels = (labels: GeometryLabelsV1, where: string): void => {
  checkShapes(labels, where);
  checkLabels(labels, where);
  checkFeatures(labels, where);
  checkValidShare(labels, where);
  const cameras = cameraStack(labels);
  for (let view = 0; view < labels.views; view++) {
    const place = `${where}: view ${view}`;
    const camera = cameraOfView(cameras, view);
    checkRotation(camera, place);
    checkIntrinsics(camera.intrinsics, labels, place);
    checkPoints(labels, camera, view, place);
  }
};

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value > 0;

const checkShapes = ({ views, height, width, features }: GeometryLabelsV1, where: string): void => {
  const grid = features ? [features.h, features.w, features.channels] : [];
  if ([views, height, width, ...grid].every(isCount)) return;
  throw refuse(
    where,
    `expected positive sizes, found ${[views, height, width, ...grid].join(', ')}`,
  );
};

const checkFeatures = ({ features }: GeometryLabelsV1, where: string): void => {
  if (features === undefined) return;
  if (Number.isFinite(largestOf(features.data))) return;
  const bad = features.data.findIndex((value) => !Number.isFinite(value));
  throw refuse(where, `features: ${features.data[bad]} at index ${bad}`);
};

/** Share of the pixels that are valid, 0 to 1. */
export const validShareOf = ({ mask }: Pick<GeometryLabelsV1, 'mask'>): number => {
  let valid = 0;
  for (let i = 0; i < mask.length; i++) valid += mask[i]!;
  return valid / mask.length;
};

const checkValidShare = (labels: GeometryLabelsV1, where: string): void => {
  const share = validShareOf(labels);
  if (share >= LABEL_LIMITS.minValidShare) return;
  const found = `${(100 * share).toFixed(2)} %`;
  throw refuse(
    where,
    `expected at least ${100 * LABEL_LIMITS.minValidShare} % valid pixels, found ${found}`,
  );
};

const checkRotation = (camera: Camera, where: string): void => {
  const rotation = rotationOf(camera.extrinsicsWorldToCamera);
  const product = multiply3(transpose3(rotation), rotation);
  const error = Math.max(...product.map((value, i) => Math.abs(value - (i % 4 === 0 ? 1 : 0))));
  if (error > LABEL_LIMITS.rotationError)
    throw refuse(
      where,
      `the rotation is not orthonormal: |RᵀR − I| is ${error.toPrecision(3)}, ` +
        `expected at most ${LABEL_LIMITS.rotationError}`,
    );
  if (determinant3(rotation) < 0)
    throw refuse(where, 'the rotation is a reflection: its determinant is −1, expected +1');
};

const checkIntrinsics = (matrix: Matrix3, labels: GeometryLabelsV1, where: string): void => {
  const [, , , shear, , , ...last] = Array.from(matrix);
  if (shear !== 0 || last[0] !== 0 || last[1] !== 0 || last[2] !== 1)
    throw refuse(
      where,
      `intrinsics are not [fx s cx; 0 fy cy; 0 0 1]: ${Array.from(matrix).join(' ')}`,
    );
  const { fovWidthRad, fovHeightRad } = fovFromIntrinsics(matrix, labels);
  const { minFieldOfView, maxFieldOfView } = LABEL_LIMITS;
  for (const [name, radians] of [
    ['horizontal', fovWidthRad],
    ['vertical', fovHeightRad],
  ] as const) {
    const degrees = (radians * 180) / Math.PI;
    if (degrees >= minFieldOfView && degrees <= maxFieldOfView) continue;
    throw refuse(
      where,
      `${name} field of view of ${degrees.toFixed(1)}°, expected ${minFieldOfView}° to ${maxFieldOfView}°`,
    );
  }
};

interface GridPixel {
  readonly u: number;
  readonly v: number;
  readonly depth: number;
}

/** Valid pixels of a coarse grid over one view. */
const gridPixels = (labels: GeometryLabelsV1, view: number): GridPixel[] => {
  const { height, width } = labels;
  const offset = pixelOffset(labels.conventions.pixelCentre);
  const along = (size: number) =>
    Array.from({ length: Math.min(GRID, size) }, (_, i) =>
      Math.round((i * (size - 1)) / Math.max(1, Math.min(GRID, size) - 1)),
    );
  return along(height).flatMap((row) =>
    along(width).flatMap((column) => {
      const i = (view * height + row) * width + column;
      if (labels.mask[i] === 0) return [];
      return [{ u: column + offset, v: row + offset, depth: labels.depth[i]! }];
    }),
  );
};

/**
 * Makes points as consumers do, in float32 by equation 9, and projects them back through [R | t] and K. What it catches
 * beyond the checks before it: cameras so far from the origin of the world that float32 points lose their place.
 */
const checkPoints = (
  labels: GeometryLabelsV1,
  camera: Camera,
  view: number,
  where: string,
): void => {
  const pixels = gridPixels(labels, view);
  const rays = pixels.map(({ u, v }) => pixelRay(camera, u, v));
  const zDepths = pixels.map(({ depth }, i) =>
    labels.conventions.depth === 'z-depth' ? depth : depth / Math.hypot(...rays[i]!.direction),
  );
  const points = pointsFromRays(
    Float32Array.from(rays.flatMap(({ origin, direction }) => [...origin, ...direction])),
    zDepths,
  );
  const back = projectPoints(points, camera);
  pixels.forEach(({ u, v }, i) => {
    const shift = Math.hypot(back[3 * i]! - u, back[3 * i + 1]! - v);
    const stretch = Math.abs(back[3 * i + 2]! / zDepths[i]! - 1);
    const isClose = shift <= LABEL_LIMITS.reprojectionError && stretch <= LABEL_LIMITS.depthError;
    if (!isClose) throw refuse(where, pointProblem({ u, v, shift, stretch }));
  });
};

const pointProblem = (found: { u: number; v: number; shift: number; stretch: number }): string =>
  `the point of pixel (${found.u}, ${found.v}), origin + depth · direction, comes back ` +
  `${found.shift.toPrecision(3)} pixels away with a depth error of ${found.stretch.toPrecision(3)}; expected at most ` +
  `${LABEL_LIMITS.reprojectionError} pixels and ${LABEL_LIMITS.depthError}`;
