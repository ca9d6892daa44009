import { type RgbImage, SpatialError } from '@spatialsv/core';
import { sampleRgb } from './images.js';

/** Coloured points in one world frame. */
export interface PointCloud {
  /** (n, 3) float32. */
  readonly positions: Float32Array;
  /** (n, 3) uint8 sRGB. */
  readonly colors: Uint8Array;
  /** (n) index of the view that a point comes from. */
  readonly views: Uint32Array;
}

export interface PointCloudInput {
  /** (V, H, W, 3) float32, world frame. */
  readonly points: Float32Array;
  readonly views: number;
  readonly height: number;
  readonly width: number;
  /** One image per view, of any size: colours are sampled at the same place of the unit square. */
  readonly images: readonly RgbImage[];
  /** Part of each image that the map covers, in pixels of the image; the whole image where absent. */
  readonly covered?: readonly CoveredRectangle[] | undefined;
  /** (V, H, W) > 0. */
  readonly confidence?: Float32Array | undefined;
  /** (V, H, W) z-depth, used to drop points that float between a near and a far surface. */
  readonly depth?: Float32Array | undefined;
  /** (V, H, W), 1 where a point is valid. */
  readonly mask?: Uint8Array | undefined;
}

export interface CoveredRectangle {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}

export interface PointCloudOptions {
  /** Share of the least confident points that is left out. Default 0.1. */
  readonly dropLeastConfident?: number;
  /** A pixel is an edge when its depth differs from a neighbour's by more than this share. Default 0.08. */
  readonly edgeThreshold?: number;
  /** Larger clouds are thinned evenly. Default 2 million. */
  readonly maxPoints?: number;
}

/**
 * Collects the valid points of all views and colours them from the images.
 * @throws SpatialError SHAPE_MISMATCH when the arrays do not fit (V, H, W).
 */
export function buildPointCloud(
  input: PointCloudInput,
  options: PointCloudOptions = {},
): PointCloud {
  const kept = keptPixels(input, options);
  const positions = new Float32Array(kept.length * 3);
  const colors = new Uint8Array(kept.length * 3);
  const views = new Uint32Array(kept.length);
  const pixels = input.height * input.width;
  for (const [n, i] of kept.entries()) {
    positions.set(input.points.subarray(i * 3, i * 3 + 3), n * 3);
    views[n] = Math.floor(i / pixels);
    paint(input, views[n]!, i % pixels, colors, n * 3);
  }
  return { positions, colors, views };
}

/**
 * Indices into (V, H, W) of the points of {@link buildPointCloud}, in its order.
 * @throws SpatialError SHAPE_MISMATCH when the arrays do not fit (V, H, W).
 */
export function keptPixels(
  input: PointCloudInput,
  options: PointCloudOptions = {},
): readonly number[] {
  checkShapes(input);
  return thin(validPixels(input, options), options.maxPoints ?? 2_000_000);
}

function paint(input: PointCloudInput, view: number, pixel: number, out: Uint8Array, at: number) {
  const image = input.images[view]!;
  const { x0, y0, x1, y1 } = input.covered?.[view] ?? wholeImage(image);
  const u = ((pixel % input.width) + 0.5) / input.width;
  const v = (Math.floor(pixel / input.width) + 0.5) / input.height;
  sampleRgb(
    image,
    (x0 + u * (x1 - x0)) / image.width,
    (y0 + v * (y1 - y0)) / image.height,
    out,
    at,
  );
}

const wholeImage = (image: RgbImage): CoveredRectangle => ({
  x0: 0,
  y0: 0,
  x1: image.width,
  y1: image.height,
});

function checkShapes(input: PointCloudInput): void {
  const pixels = input.views * input.height * input.width;
  const found: [string, number | undefined, number][] = [
    ['points', input.points.length, pixels * 3],
    ['images', input.images.length, input.views],
    ['confidence', input.confidence?.length, pixels],
    ['depth', input.depth?.length, pixels],
    ['mask', input.mask?.length, pixels],
  ];
  for (const [name, actual, expected] of found) {
    if (actual === undefined || actual === expected) continue;
    throw new SpatialError({
      code: 'SHAPE_MISMATCH',
      message: `point cloud: ${name}: expected ${expected} elements for ${input.views} views of ${input.height}×${input.width}, found ${actual}`,
      hint: 'Give every map at the same resolution and one image per view.',
    });
  }
}

function validPixels(input: PointCloudInput, options: PointCloudOptions): number[] {
  const total = input.views * input.height * input.width;
  const floor = confidenceFloor(input, options.dropLeastConfident ?? 0.1);
  const kept: number[] = [];
  for (let i = 0; i < total; i++) {
    if (input.mask?.[i] === 0 || (input.confidence && input.confidence[i]! < floor)) continue;
    if (!isFinitePoint(input.points, i)) continue;
    if (input.depth && isEdge(input, i, options.edgeThreshold ?? 0.08)) continue;
    kept.push(i);
  }
  return kept;
}

/** Whether point `i` of (N, 3) is somewhere. */
export const isFinitePoint = (points: Float32Array, i: number): boolean =>
  Number.isFinite(points[3 * i]!) &&
  Number.isFinite(points[3 * i + 1]!) &&
  Number.isFinite(points[3 * i + 2]!);

/** Of what is valid: masked pixels often have no confidence, and would be the share that is left out. */
function confidenceFloor({ confidence, mask }: PointCloudInput, drop: number): number {
  if (confidence === undefined || drop <= 0) return -Infinity;
  const sorted = confidence.filter((value, i) => Number.isFinite(value) && mask?.[i] !== 0).sort();
  return sorted[Math.floor(drop * (sorted.length - 1))] ?? -Infinity;
}

/** Whether depth jumps between this pixel and a neighbour of the same view. */
function isEdge(input: PointCloudInput, i: number, threshold: number): boolean {
  const { height, width } = input;
  const depth = input.depth!;
  const column = i % width;
  const row = Math.floor(i / width) % height;
  const own = depth[i]!;
  const differs = (j: number) => Math.abs(depth[j]! - own) > threshold * Math.min(depth[j]!, own);
  return (
    (column > 0 && differs(i - 1)) ||
    (column < width - 1 && differs(i + 1)) ||
    (row > 0 && differs(i - width)) ||
    (row < height - 1 && differs(i + width))
  );
}

/** At most `limit` entries, evenly spread. */
export function thin<T>(items: readonly T[], limit: number): readonly T[] {
  if (items.length <= limit) return items;
  return Array.from({ length: limit }, (_, k) => items[Math.floor((k * items.length) / limit)]!);
}

/** Axis-aligned box that holds all but the outermost `trim` share of the points on each side of each axis. */
export function robustBounds(
  cloud: Pick<PointCloud, 'positions'>,
  trim = 0.02,
): { min: [number, number, number]; max: [number, number, number] } {
  const { positions } = cloud;
  const axis = (a: number) => {
    const values = new Float32Array(positions.length / 3);
    for (let i = 0; i < values.length; i++) values[i] = positions[3 * i + a]!;
    return values.sort();
  };
  const sorted = [axis(0), axis(1), axis(2)];
  const pick = (share: number) =>
    sorted.map((values) => values[Math.round(share * (values.length - 1))] ?? 0) as [
      number,
      number,
      number,
    ];
  return { min: pick(trim), max: pick(1 - trim) };
}
