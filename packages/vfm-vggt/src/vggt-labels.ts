import {
  depthFromPoints,
  relativeToFirst,
  resampleFeatures,
  resampleLabels,
} from '@spatialsv/core/kit';
import {
  type GeometryConventionsV1,
  type GeometryLabelsV1,
  SpatialError,
} from '@spatialsv/core/spec';
import type { VggtPrediction } from './vggt-model.js';
import { POSE_VALUES } from './vggt-names.js';
import type { PreparedImages } from './vggt-preprocess.js';

/** VGGT places pixel centres at integers and the principal point at (W/2, H/2): vggt/utils/geometry.py and pose_enc.py. */
export const VGGT_CONVENTIONS: GeometryConventionsV1 = {
  axes: 'opencv',
  extrinsics: 'world-to-camera',
  pixelCentre: 'integer',
  depth: 'z-depth',
  scale: 'relative',
  world: 'first-camera',
};

/** Depths at or below this are not measurements. */
const MIN_DEPTH = 1e-6;

export interface LabelSize {
  readonly height?: number;
  readonly width?: number;
}

/**
 * Labels of the whole images: white borders are cut away, and what the network did not see is masked. Depth is that of
 * the depth head, or z of the point head's points where the depth head did not run.
 * @param size of the labels; the size at which the first image went into the network where absent.
 * @throws SpatialError DATA_INVALID when a camera is no camera.
 */
export function vggtLabels(
  prediction: VggtPrediction,
  images: PreparedImages,
  size: LabelSize = {},
): GeometryLabelsV1 {
  const { views, height, width } = prediction;
  requireCameras(prediction);
  const depth = depthOf(prediction);
  const labels: GeometryLabelsV1 = {
    conventions: VGGT_CONVENTIONS,
    views,
    height,
    width,
    depth,
    mask: Uint8Array.from(depth, (d) => (Number.isFinite(d) && d > MIN_DEPTH ? 1 : 0)),
    intrinsics: prediction.intrinsics,
    extrinsicsWorldToCamera: relativeToFirst(prediction.extrinsics),
    depthConfidence: (prediction.depthConfidence ?? prediction.pointConfidence)!,
  };
  const [first] = images.windows;
  const whole = resampleLabels(labels, {
    height: size.height ?? first!.y1 - first!.y0,
    width: size.width ?? first!.x1 - first!.x0,
    windows: images.windows,
  });
  const { features } = prediction;
  return features ? { ...whole, features: resampleFeatures(features, images) } : whole;
}

function depthOf({ depth, points, extrinsics }: VggtPrediction): Float32Array {
  return depth ?? depthFromPoints(points!, extrinsics);
}

function requireCameras({ pose, extrinsics, intrinsics }: VggtPrediction): void {
  const views = pose.length / POSE_VALUES;
  for (let view = 0; view < views; view++) {
    const [fovHeight, fovWidth] = pose.subarray(view * POSE_VALUES + 7, (view + 1) * POSE_VALUES);
    const hasFields = [fovHeight, fovWidth].every((fov) => fov! > 0 && fov! < Math.PI);
    const camera = [
      ...extrinsics.subarray(view * 12, (view + 1) * 12),
      ...intrinsics.subarray(view * 9, (view + 1) * 9),
    ];
    if (hasFields && camera.every(Number.isFinite)) continue;
    throw new SpatialError({
      code: 'DATA_INVALID',
      message:
        `vggt: view ${view + 1} of ${views}: expected a rotation and fields of view between 0 and π rad, ` +
        `found the pose ${[...pose.subarray(view * POSE_VALUES, (view + 1) * POSE_VALUES)].join(', ')}`,
      hint: 'Check that the weights are trained ones. If they are, leave this view set out: the model sees no camera in it.',
    });
  }
}
