import { SpatialError } from '../errors.js';
import type { GeometryLabelsV1 } from '../spec.js';
import {
  cropIntrinsics,
  type ImageSize,
  matrixOfView,
  type PixelWindow,
  relativeToFirst,
  requireConventions,
} from './cameras.js';
import { cameraStack, pointsFromRays, rayMap, requireLength } from './rays.js';

/** Depths at or below this are not measurements. */
const MIN_DEPTH = 1e-6;

const dataError = (where: string, problem: string): SpatialError =>
  new SpatialError({
    code: 'DATA_INVALID',
    message: `${where}: ${problem}`,
    hint: 'Fix the label source, or leave the sample out.',
  });

const checkSizes = (labels: GeometryLabelsV1, where: string): void => {
  const { views, height, width } = labels;
  const pixels = views * height * width;
  requireLength(`${where}: depth`, pixels, labels.depth.length);
  requireLength(`${where}: mask`, pixels, labels.mask.length);
  requireLength(`${where}: intrinsics`, views * 9, labels.intrinsics.length);
  requireLength(`${where}: extrinsics`, views * 12, labels.extrinsicsWorldToCamera.length);
  if (labels.depthConfidence)
    requireLength(`${where}: depth confidence`, pixels, labels.depthConfidence.length);
  if (labels.features) {
    const { h, w, channels, data } = labels.features;
    requireLength(`${where}: features`, views * h * w * channels, data.length);
  }
};

const firstBad = (
  values: ArrayLike<number>,
  isGood: (value: number, i: number) => boolean,
): number => {
  for (let i = 0; i < values.length; i++) if (!isGood(values[i]!, i)) return i;
  return -1;
};

/**
 * Checks what every consumer of labels relies on: sizes agree, cameras are finite, focal lengths positive, and every
 * valid pixel has a finite depth above 1e-6 and a positive confidence.
 * @throws SpatialError SHAPE_MISMATCH | DATA_INVALID.
 */
export const checkLabels = (labels: GeometryLabelsV1, where: string): void => {
  checkSizes(labels, where);
  const { depth, mask, depthConfidence, intrinsics } = labels;
  const checks: readonly [string, number][] = [
    ['finite intrinsics', firstBad(intrinsics, Number.isFinite)],
    [
      'positive focal lengths',
      firstBad(intrinsics, (value, i) => ![0, 4].includes(i % 9) || value > 0),
    ],
    ['finite extrinsics', firstBad(labels.extrinsicsWorldToCamera, Number.isFinite)],
    ['a mask of 0 and 1', firstBad(mask, (value) => value === 0 || value === 1)],
    [
      'positive depth where the mask is 1',
      firstBad(depth, (d, i) => mask[i] === 0 || (Number.isFinite(d) && d > MIN_DEPTH)),
    ],
    [
      'positive depth confidence where the mask is 1',
      firstBad(depthConfidence ?? [], (c, i) => mask[i] === 0 || (Number.isFinite(c) && c > 0)),
    ],
  ];
  for (const [name, index] of checks)
    if (index >= 0)
      throw dataError(where, `expected ${name}, found another value at index ${index}`);
};

/**
 * Ray map and point map of labels, equations 8 and 9.
 * @returns rays (V, H, W, 6) and points (V, H, W, 3), float32, in the labels' world; points of masked pixels are 0.
 * @throws SpatialError CONVENTION_MISMATCH unless depth is z-depth.
 */
export const labelMaps = (
  labels: GeometryLabelsV1,
): { readonly rays: Float32Array; readonly points: Float32Array } => {
  requireConventions(labels.conventions, { depth: 'z-depth' }, 'labels');
  const rays = rayMap(cameraStack(labels), labels);
  const points = pointsFromRays(rays, labels.depth);
  for (let i = 0; i < labels.mask.length; i++)
    if (labels.mask[i] === 0) points.fill(0, 3 * i, 3 * i + 3);
  return { rays, points };
};

/** The same labels with the frame of view 0 as world. */
export const inFirstCamera = (labels: GeometryLabelsV1): GeometryLabelsV1 => ({
  ...labels,
  conventions: { ...labels.conventions, world: 'first-camera' },
  extrinsicsWorldToCamera: relativeToFirst(labels.extrinsicsWorldToCamera),
});

/** Mean distance of the valid points from the origin, over all views jointly; 0 when no pixel is valid. */
export const meanPointNorm = (points: ArrayLike<number>, mask: ArrayLike<number>): number => {
  let sum = 0;
  let count = 0;
  for (let i = 0; i < mask.length; i++) {
    if (!mask[i]) continue;
    sum += Math.hypot(points[3 * i]!, points[3 * i + 1]!, points[3 * i + 2]!);
    count++;
  }
  return count === 0 ? 0 : sum / count;
};

const MIN_SCALE = 1e-6;
const MAX_SCALE = 1e6;

/**
 * Divides depths and translations by the mean ‖P‖ of the valid points of all views, which puts scenes of any size
 * into one range. Directions do not change.
 * @returns the labels with `scale: 'relative'` and the divisor, clamped to [1e-6, 1e6].
 * @throws SpatialError CONVENTION_MISMATCH unless the world is the first camera; DATA_INVALID without a valid pixel.
 * Source: VGGT, training/train_utils/normalization.py. Deviation: divides by the count, not by count + 1e-3.
 */
export const normaliseLabels = (
  labels: GeometryLabelsV1,
): { readonly labels: GeometryLabelsV1; readonly scale: number } => {
  requireConventions(labels.conventions, { world: 'first-camera' }, 'labels');
  const mean = meanPointNorm(labelMaps(labels).points, labels.mask);
  if (mean === 0) throw dataError('labels', 'no valid pixel to take the scale from');
  const scale = Math.min(MAX_SCALE, Math.max(MIN_SCALE, mean));
  const extrinsicsWorldToCamera = labels.extrinsicsWorldToCamera.map((value, i) =>
    i % 4 === 3 ? value / scale : value,
  );
  return {
    scale,
    labels: {
      ...labels,
      conventions: { ...labels.conventions, scale: 'relative' },
      depth: labels.depth.map((value) => value / scale),
      extrinsicsWorldToCamera,
    },
  };
};

/** For each output pixel of one view the index of its source pixel in H·W, or −1 outside of the image. */
export const nearestPixels = (from: ImageSize, window: PixelWindow, to: ImageSize): Int32Array => {
  const indices = new Int32Array(to.width * to.height);
  const stepX = (window.x1 - window.x0) / to.width;
  const stepY = (window.y1 - window.y0) / to.height;
  for (let row = 0; row < to.height; row++) {
    const y = Math.floor(window.y0 + (row + 0.5) * stepY);
    for (let column = 0; column < to.width; column++) {
      const x = Math.floor(window.x0 + (column + 0.5) * stepX);
      const isInside = x >= 0 && x < from.width && y >= 0 && y < from.height;
      indices[row * to.width + column] = isInside ? y * from.width + x : -1;
    }
  }
  return indices;
};

/**
 * Brings labels to another resolution, and into a window of each view where the backbone crops or pads its images.
 * Depth, mask and confidence take the nearest pixel (depth is never blended across edges), intrinsics follow exactly;
 * rays and points are to be made again with {@link labelMaps}, so that equation 9 holds. Pixels outside of the image
 * are masked. Features stay on the source's own grid.
 * @param to size of the new labels, and per view the rectangle of the old labels that it shows (all of it if absent).
 */
export const resampleLabels = (
  labels: GeometryLabelsV1,
  to: ImageSize & { readonly windows?: readonly PixelWindow[] },
): GeometryLabelsV1 => {
  const { views, conventions } = labels;
  const perView = to.width * to.height;
  const whole = { x0: 0, y0: 0, x1: labels.width, y1: labels.height };
  const depth = new Float32Array(views * perView);
  const mask = new Uint8Array(views * perView);
  const confidence = labels.depthConfidence && new Float32Array(views * perView).fill(1);
  const intrinsics = new Float32Array(views * 9);
  for (let view = 0; view < views; view++) {
    const window = to.windows?.[view] ?? whole;
    const camera = matrixOfView(labels.intrinsics, view, 9);
    intrinsics.set(cropIntrinsics(camera, window, to, conventions.pixelCentre), view * 9);
    const start = view * labels.width * labels.height;
    nearestPixels(labels, window, to).forEach((pixel, i) => {
      if (pixel < 0) return;
      depth[view * perView + i] = labels.depth[start + pixel]!;
      mask[view * perView + i] = labels.mask[start + pixel]!;
      if (confidence) confidence[view * perView + i] = labels.depthConfidence![start + pixel]!;
    });
  }
  const { height, width } = to;
  const resampled = { ...labels, height, width, depth, mask, intrinsics };
  return confidence ? { ...resampled, depthConfidence: confidence } : resampled;
};
