import {
  float32Source,
  type GeometryLabelsV1,
  labelMaps,
  type TensorSource,
  writeSafetensors,
} from '@spatialsv/core';
import type { LabelSet } from './label-set.js';

/**
 * Writes labels as safetensors: `depth`, `depth_confidence` (V, H, W), `mask` (V, H, W) uint8, `intrinsics` (V, 3, 3),
 * `extrinsics_world_to_camera` (V, 3, 4), `rays` (V, H, W, 6), `points` (V, H, W, 3), `features` (V, h, w, C); float32
 * unless said, confidence and features where the labels have them. The metadata holds each convention under its name, and
 * `images`, `provenance` as JSON.
 * @throws SpatialError CONVENTION_MISMATCH unless depth is z-depth.
 */
export async function writeLabelTensors(file: string, set: LabelSet): Promise<void> {
  await writeSafetensors(file, labelTensors(set.labels), { metadata: metadataOf(set) });
}

function labelTensors(labels: GeometryLabelsV1): Map<string, TensorSource> {
  const { views, height, width, depthConfidence, features } = labels;
  const map = [views, height, width];
  const { rays, points } = labelMaps(labels);
  const tensors = new Map<string, TensorSource>([
    ['depth', float32Source(labels.depth, map)],
    ['mask', { dtype: 'U8', shape: map, bytes: () => labels.mask }],
    ['intrinsics', float32Source(labels.intrinsics, [views, 3, 3])],
    ['extrinsics_world_to_camera', float32Source(labels.extrinsicsWorldToCamera, [views, 3, 4])],
    ['rays', float32Source(rays, [...map, 6])],
    ['points', float32Source(points, [...map, 3])],
  ]);
  if (depthConfidence) tensors.set('depth_confidence', float32Source(depthConfidence, map));
  if (features) {
    const { data, h, w, channels } = features;
    tensors.set('features', float32Source(data, [views, h, w, channels]));
  }
  return tensors;
}

function metadataOf({ key, labels, images, provenance }: LabelSet): Record<string, string> {
  const { conventions } = labels;
  return {
    format: 'pt',
    key,
    axes: conventions.axes,
    extrinsics: conventions.extrinsics,
    pixel_centre: conventions.pixelCentre,
    depth: conventions.depth,
    scale: conventions.scale,
    world: conventions.world,
    rays: 'origin xyz, then direction xyz with camera z = 1; points = origin + depth * direction',
    images: JSON.stringify(images),
    provenance: JSON.stringify(provenance),
  };
}
