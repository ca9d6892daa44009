import {
  float32Source,
  type GeometryConventionsV1,
  type GeometryLabelsV1,
  openSafetensors,
  type RgbImage,
  type SafetensorsReader,
  SpatialError,
  type TensorSource,
  writeSafetensors,
} from '@spatialsv/core';
import { encodeJpeg } from './images.js';
import { type LabelMetrics, labelMetrics } from './label-metrics.js';
import type { LiftPredictions } from './lift-input.js';
import type { CoveredRectangle } from './point-cloud.js';
import { camerasFromRays } from './view-cameras.js';
import { croppedImage } from './view-figures.js';

/** The part of an image that the maps cover, as a JPEG. */
export interface LiftPhoto {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly jpeg: Uint8Array;
}

/** What a model sees of one view set, as it is kept: photographs, maps, and labels of the same size where there are any. */
export interface StoredLift {
  /** One per view. */
  readonly photos: readonly LiftPhoto[];
  readonly predictions: LiftPredictions;
  readonly labels?: GeometryLabelsV1;
  /** Whose labels they are. */
  readonly labelSource?: string;
}

/** Longer side of an image. */
const PHOTO_SIDE_PX = 640;

/** The images of views, as far as maps cover them. */
export function liftPhotos(
  images: readonly RgbImage[],
  covered?: readonly CoveredRectangle[],
): Promise<LiftPhoto[]> {
  const photo = async (image: RgbImage, view: number): Promise<LiftPhoto> => {
    const { width, height, ...rest } = croppedImage(image, covered?.[view]);
    const jpeg = await encodeJpeg({ width, height, ...rest }, PHOTO_SIDE_PX);
    return { name: image.path ?? `view ${view + 1}`, width, height, jpeg };
  };
  return Promise.all(images.map(photo));
}

/** Maps that are kept as float16: nothing is measured on them. */
const HALF = new Set(['depth_confidence', 'rays', 'ray_confidence', 'points', 'point_confidence']);

/** Names of the maps in the file, and values per pixel. */
const MAPS = [
  ['depth', 'depth', 1],
  ['depthConfidence', 'depth_confidence', 1],
  ['rays', 'rays', 6],
  ['rayConfidence', 'ray_confidence', 1],
  ['points', 'points', 3],
  ['pointConfidence', 'point_confidence', 1],
] as const;

/**
 * Writes a lift as one safetensors file: `depth` (V, H, W) float32 and the other maps of the heads as float16, `photo.N` JPEG
 * bytes, and `label.*` as `labels export` writes them. The metadata holds the conventions, the photos' names and how far both are apart.
 */
export async function writeLift(file: string, lift: StoredLift): Promise<void> {
  const { predictions, photos, labels, labelSource } = lift;
  const { views, height, width, conventions } = predictions;
  const tensors = new Map<string, TensorSource>();
  for (const [field, name, channels] of MAPS) {
    const data = predictions[field];
    const shape = [views, height, width, ...(channels === 1 ? [] : [channels])];
    if (data) tensors.set(name, float32Source(data, shape, HALF.has(name) ? 'F16' : 'F32'));
  }
  for (const [view, { jpeg }] of photos.entries())
    tensors.set(`photo.${view}`, { dtype: 'U8', shape: [jpeg.length], bytes: () => jpeg });
  for (const [name, source] of labelSources(labels)) tensors.set(`label.${name}`, source);
  const metadata = {
    format: 'pt',
    spatialsv: 'lift 1',
    conventions: JSON.stringify(conventions),
    photos: JSON.stringify(photos.map(({ jpeg: _, ...photo }) => photo)),
    ...(labels && { label_conventions: JSON.stringify(labels.conventions) }),
    ...(labelSource !== undefined && { label_source: labelSource }),
    ...(labels?.mask.includes(1) && { label_metrics: JSON.stringify(measure(lift, labels)) }),
  };
  await writeSafetensors(file, tensors, { metadata });
}

function measure({ predictions }: StoredLift, labels: GeometryLabelsV1): LabelMetrics {
  const { rays, rayConfidence, conventions, depth } = predictions;
  const cameras = rays
    ? camerasFromRays(rays, predictions, conventions.pixelCentre, rayConfidence)
    : [];
  return labelMetrics(depth, cameras, labels);
}

function labelSources(labels: GeometryLabelsV1 | undefined): readonly [string, TensorSource][] {
  if (labels === undefined) return [];
  const { views, height, width, depth, mask, intrinsics, extrinsicsWorldToCamera } = labels;
  const shape = [views, height, width];
  return [
    ['depth', float32Source(depth, shape)],
    ['mask', { dtype: 'U8', shape, bytes: () => mask }],
    ['intrinsics', float32Source(Float32Array.from(intrinsics), [views, 3, 3])],
    [
      'extrinsics_world_to_camera',
      float32Source(Float32Array.from(extrinsicsWorldToCamera), [views, 3, 4]),
    ],
  ];
}

/** What the header of a lift says. */
export interface LiftFacts {
  /** Whose labels are in it. */
  readonly labelSource?: string;
  /** How far the predictions are from these labels; absent where none of their pixels is valid. */
  readonly metrics?: LabelMetrics;
}

/** Reads the header alone. @returns undefined where there is no such file. */
export async function liftFacts(file: string): Promise<LiftFacts | undefined> {
  try {
    const { label_source, label_metrics } = (await openSafetensors(file)).metadata;
    return {
      ...(label_source !== undefined && { labelSource: label_source }),
      ...(label_metrics !== undefined && { metrics: JSON.parse(label_metrics) }),
    };
  } catch (error) {
    if (SpatialError.isInstance(error) && error.code === 'FILE_MISSING') return undefined;
    throw error;
  }
}

/** @throws SpatialError FILE_MISSING; FILE_INVALID for a file that is no lift. */
export async function readLift(file: string): Promise<StoredLift> {
  const reader = await openSafetensors(file);
  const { conventions, photos, label_conventions: labelled, label_source } = reader.metadata;
  if (conventions === undefined || photos === undefined || !reader.has('depth')) {
    throw new SpatialError({
      code: 'FILE_INVALID',
      message: `${file}: expected a lift (depth, photos, conventions), found another safetensors file`,
      hint: 'Remove the file and run `spatialsv eval … --lift` again.',
    });
  }
  const names = JSON.parse(photos) as Omit<LiftPhoto, 'jpeg'>[];
  const read: LiftPhoto[] = [];
  for (const [view, photo] of names.entries())
    read.push({ ...photo, jpeg: await reader.readRaw(`photo.${view}`) });
  return {
    photos: read,
    predictions: await readPredictions(reader, JSON.parse(conventions)),
    ...(labelled && { labels: await readLabels(reader, JSON.parse(labelled)) }),
    ...(label_source !== undefined && { labelSource: label_source }),
  };
}

async function readPredictions(
  reader: SafetensorsReader,
  conventions: GeometryConventionsV1,
): Promise<LiftPredictions> {
  const [views, height, width] = reader.info('depth').shape as [number, number, number];
  const maps: Record<string, Float32Array> = {};
  for (const [field, name] of MAPS)
    if (reader.has(name)) maps[field] = await reader.readFloat32(name);
  return { conventions, views, height, width, depth: maps['depth']!, ...maps };
}

async function readLabels(
  reader: SafetensorsReader,
  conventions: GeometryConventionsV1,
): Promise<GeometryLabelsV1> {
  const [views, height, width] = reader.info('label.depth').shape as [number, number, number];
  return {
    conventions,
    ...{ views, height, width },
    depth: await reader.readFloat32('label.depth'),
    mask: await reader.readRaw('label.mask'),
    intrinsics: await reader.readFloat32('label.intrinsics'),
    extrinsicsWorldToCamera: await reader.readFloat32('label.extrinsics_world_to_camera'),
  };
}
