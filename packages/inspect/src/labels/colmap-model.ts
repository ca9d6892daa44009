import {
  cameraOfView,
  cameraStack,
  type GeometryLabelsV1,
  labelMaps,
  matrixToQuaternion,
  type RgbImage,
  rotationOf,
  SpatialError,
  scaleIntrinsics,
  translationOf,
} from '@spatialsv/core';
import { buildPointCloud, type CoveredRectangle, keptPixels } from '../point-cloud.js';
import { cloudInput, type LabelImage, type LabelSet } from './label-set.js';

/** Pinhole camera of one image, at the size of the image; pixel centres at ½, as COLMAP has them. */
export interface ColmapCamera {
  readonly width: number;
  readonly height: number;
  /** fx, fy, cx, cy in pixels of the image. */
  readonly parameters: readonly [number, number, number, number];
}

export interface ColmapImage {
  /** w, x, y, z of world-to-camera. */
  readonly quaternion: readonly number[];
  /** Of world-to-camera. */
  readonly translation: readonly number[];
  readonly file: LabelImage;
  /** Where points were seen, in pixels of the image. */
  readonly observations: readonly ColmapObservation[];
}

export interface ColmapObservation {
  readonly x: number;
  readonly y: number;
  /** Index of the point. */
  readonly point: number;
}

export interface ColmapPoint {
  readonly position: readonly number[];
  readonly color: readonly number[];
  /** Indices of the image and of its observation; the view that the point comes from is the first. */
  readonly track: readonly { readonly image: number; readonly observation: number }[];
}

/** A sparse model; cameras and images are by view. */
export interface ColmapModel {
  readonly cameras: readonly ColmapCamera[];
  readonly images: readonly ColmapImage[];
  readonly points: readonly ColmapPoint[];
}

export interface ColmapOptions {
  /** Points are thinned evenly to so many. Default 50,000. */
  readonly maxPoints?: number;
}

/** What a model is made of. */
type PlacedLabels = Pick<LabelSet, 'labels' | 'images' | 'covered'>;

/** A view sees a point when its own depth there differs by at most this share. */
const DEPTH_TOLERANCE = 0.02;

/**
 * Labels as a sparse model of COLMAP: one PINHOLE camera and image per view, and thinned points with the views that see
 * them. A point is taken as seen by a view where it falls into the image at the depth of the labels there.
 * @param photos one image per view, for the colours.
 * @throws SpatialError CONVENTION_MISMATCH unless depth is z-depth, DATA_INVALID for cameras with skew.
 */
export function colmapModel(
  set: PlacedLabels,
  photos: readonly RgbImage[],
  { maxPoints = 50_000 }: ColmapOptions = {},
): ColmapModel {
  const { labels, images, covered } = set;
  const cameras = images.map((file, view) => imageCamera(labels, view, file, areaOf(set, view)));
  const input = cloudInput(labels, labelMaps(labels).points, photos, covered);
  const { positions, colors } = buildPointCloud(input, { maxPoints });
  const observations = images.map((): ColmapObservation[] => []);
  const points = keptPixels(input, { maxPoints }).map((pixel, point): ColmapPoint => {
    const position = [...positions.subarray(3 * point, 3 * point + 3)];
    const seen = sightings(set, cameras, pixel, position);
    const track = seen.map(({ image, x, y }) => ({
      image,
      observation: observations[image]!.push({ x, y, point }) - 1,
    }));
    return { position, color: [...colors.subarray(3 * point, 3 * point + 3)], track };
  });
  return {
    cameras,
    images: images.map((file, view) => posedImage(labels, view, file, observations[view]!)),
    points,
  };
}

/** Part of an image that the maps cover. */
function areaOf({ images, covered }: PlacedLabels, view: number): CoveredRectangle {
  const { width, height } = images[view]!;
  return covered?.[view] ?? { x0: 0, y0: 0, x1: width, y1: height };
}

function imageCamera(
  labels: GeometryLabelsV1,
  view: number,
  { path, width, height }: LabelImage,
  { x0, y0, x1, y1 }: CoveredRectangle,
): ColmapCamera {
  const { pixelCentre } = labels.conventions;
  const { intrinsics } = cameraOfView(cameraStack(labels), view);
  const area = { width: x1 - x0, height: y1 - y0 };
  const scaled = scaleIntrinsics(intrinsics, labels, area, pixelCentre);
  if (scaled[1] !== 0) throw skewed(path, scaled[1]!);
  const shift = pixelCentre === 'integer' ? 0.5 : 0;
  const [cx, cy] = [x0 + scaled[2]! + shift, y0 + scaled[5]! + shift];
  const parameters = [scaled[0]!, scaled[4]!, cx, cy] as const;
  return { width, height, parameters };
}

const skewed = (path: string, skew: number): SpatialError =>
  new SpatialError({
    code: 'DATA_INVALID',
    message: `${path}: expected pixels without skew, as COLMAP's PINHOLE has them, found a skew of ${skew.toPrecision(3)} pixels`,
    hint: 'Export to another format: safetensors keeps the intrinsics as they are.',
  });

function posedImage(
  labels: GeometryLabelsV1,
  view: number,
  file: LabelImage,
  observations: readonly ColmapObservation[],
): ColmapImage {
  const { extrinsicsWorldToCamera: pose } = cameraOfView(cameraStack(labels), view);
  const [x, y, z, w] = matrixToQuaternion(rotationOf(pose)) as [number, number, number, number];
  return { quaternion: [w, x, y, z], translation: translationOf(pose), file, observations };
}

interface Sighting {
  readonly image: number;
  readonly x: number;
  readonly y: number;
}

/** The pixel that a point comes from, then the places where other views see it. */
function sightings(
  set: PlacedLabels,
  cameras: readonly ColmapCamera[],
  pixel: number,
  position: readonly number[],
): Sighting[] {
  const { height, width } = set.labels;
  const own = Math.floor(pixel / (height * width));
  const { x0, y0, x1, y1 } = areaOf(set, own);
  const x = x0 + (((pixel % width) + 0.5) * (x1 - x0)) / width;
  const y = y0 + (((Math.floor(pixel / width) % height) + 0.5) * (y1 - y0)) / height;
  const others = cameras.flatMap((other, view) =>
    view === own ? [] : seenBy(set, view, other, position),
  );
  return [{ image: own, x, y }, ...others];
}

function seenBy(
  set: PlacedLabels,
  view: number,
  camera: ColmapCamera,
  position: readonly number[],
): Sighting[] {
  const { height, width, depth, mask, extrinsicsWorldToCamera } = set.labels;
  const { x0, y0, x1, y1 } = areaOf(set, view);
  const { x, y, z } = project(extrinsicsWorldToCamera, view, camera, position);
  const column = Math.floor(((x - x0) / (x1 - x0)) * width);
  const row = Math.floor(((y - y0) / (y1 - y0)) * height);
  const inside = z > 0 && column >= 0 && column < width && row >= 0 && row < height;
  if (!inside) return [];
  const pixel = (view * height + row) * width + column;
  const agrees = mask[pixel] === 1 && Math.abs(depth[pixel]! - z) <= DEPTH_TOLERANCE * z;
  return agrees ? [{ image: view, x, y }] : [];
}

/** Pixel of the image and z-depth, in double precision: images are larger than labels. */
function project(
  extrinsics: Float32Array,
  view: number,
  { parameters: [fx, fy, cx, cy] }: ColmapCamera,
  position: readonly number[],
) {
  const row = (r: number) => {
    const at = view * 12 + r * 4;
    return (
      extrinsics[at]! * position[0]! +
      extrinsics[at + 1]! * position[1]! +
      extrinsics[at + 2]! * position[2]! +
      extrinsics[at + 3]!
    );
  };
  const z = row(2);
  return { x: (fx * row(0)) / z + cx, y: (fy * row(1)) / z + cy, z };
}
