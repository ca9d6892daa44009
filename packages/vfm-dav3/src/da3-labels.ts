import {
  type ImageSize,
  poseFromRays,
  relativeToFirst,
  resampleFeatures,
  resampleLabels,
} from '@spatialsv/core/kit';
import {
  type GeometryConventionsV1,
  type GeometryLabelsV1,
  SpatialError,
} from '@spatialsv/core/spec';
import { POSE_SIZE } from './da3-cameras.js';
import { skyMask } from './da3-metric.js';
import type { Da3Prediction } from './da3-prediction.js';
import type { PreparedViews } from './da3-preprocess.js';

/**
 * The principal point lies at (W/2, H/2) and the rays go through the centres of their cells, so pixel centres lie at
 * half numbers (model/utils/transform.py, utils/ray_utils.py).
 */
const CONVENTIONS = {
  axes: 'opencv',
  extrinsics: 'world-to-camera',
  pixelCentre: 'half',
  depth: 'z-depth',
  world: 'first-camera',
} as const satisfies Partial<GeometryConventionsV1>;

/** Depths at or below this are not measurements. */
const MIN_DEPTH = 1e-6;

/** Cameras in pixels of the network's input. */
export interface LabelCameras {
  /** (V, 3, 4). */
  readonly extrinsics: Float32Array;
  /** (V, 3, 3). */
  readonly intrinsics: Float32Array;
}

export interface LabelOptions {
  readonly cameras: LabelCameras;
  readonly scale: GeometryConventionsV1['scale'];
  /** Size of the labels; that of the first image in the network's input where absent. */
  readonly height?: number;
  readonly width?: number;
}

/**
 * Labels of the whole images: what was cut off, sky, and what is no measurement are masked. The world is the frame of
 * view 0, whichever view the network took for its reference.
 */
export const da3Labels = (
  prediction: Da3Prediction,
  views: PreparedViews,
  { cameras, scale, ...size }: LabelOptions,
): GeometryLabelsV1 => {
  const { depth, depthConfidence, features, height, width } = prediction;
  const labels: GeometryLabelsV1 = {
    conventions: { ...CONVENTIONS, scale },
    views: prediction.views,
    height,
    width,
    depth,
    mask: validPixels(prediction),
    intrinsics: cameras.intrinsics,
    extrinsicsWorldToCamera: relativeToFirst(cameras.extrinsics),
    ...(depthConfidence ? { depthConfidence } : {}),
  };
  const [first] = views.windows;
  const whole = resampleLabels(labels, {
    height: size.height ?? first!.y1 - first!.y0,
    width: size.width ?? first!.x1 - first!.x0,
    windows: views.windows,
  });
  return features ? { ...whole, features: resampleFeatures(features, views) } : whole;
};

const validPixels = ({ depth, sky }: Da3Prediction): Uint8Array => {
  const isSky = sky && skyMask(sky);
  const isMeasured = (value: number) => Number.isFinite(value) && value > MIN_DEPTH;
  return Uint8Array.from(depth, (value, i) => (isMeasured(value) && isSky?.[i] !== 1 ? 1 : 0));
};

/**
 * Cameras of the camera decoder.
 * @throws SpatialError DATA_INVALID when a field of view is none.
 */
export const decoderCameras = (prediction: Da3Prediction): LabelCameras => {
  const { pose, extrinsics, intrinsics, views } = prediction;
  for (let view = 0; view < views; view++) {
    const values = [...pose!.subarray(POSE_SIZE * view, POSE_SIZE * (view + 1))];
    const isCamera = values.every(Number.isFinite) && values.slice(7).every(isField);
    if (!isCamera)
      throw noCamera(view, views, `the pose ${values.map((value) => value.toFixed(4)).join(', ')}`);
  }
  return { extrinsics: extrinsics!, intrinsics: intrinsics! };
};

const isField = (fovRad: number): boolean => fovRad > 0 && fovRad < Math.PI;

const noCamera = (view: number, views: number, found: string): SpatialError =>
  new SpatialError({
    code: 'DATA_INVALID',
    message: `dav3: view ${view + 1} of ${views}: expected a camera, found ${found}`,
    hint: 'Check that the weights are trained ones. If they are, leave this view set out: the model sees no camera in it.',
  });

/**
 * Cameras that the ray maps describe best.
 * @throws SpatialError DATA_INVALID when rays describe none.
 */
export const rayCameras = (prediction: Da3Prediction): LabelCameras => {
  const { rays, rayConfidence, views } = prediction;
  const perView = rays!.h * rays!.w;
  const extrinsics = new Float32Array(12 * views);
  const intrinsics = new Float32Array(9 * views);
  for (let view = 0; view < views; view++) {
    const pose = poseFromRays(rays!.data.subarray(6 * perView * view, 6 * perView * (view + 1)), {
      grid: { width: rays!.w, height: rays!.h },
      image: prediction,
      pixelCentre: CONVENTIONS.pixelCentre,
      confidence: rayConfidence!.subarray(perView * view, perView * (view + 1)),
    });
    if (pose === undefined) throw noCamera(view, views, 'rays that determine none');
    extrinsics.set(pose.extrinsicsWorldToCamera, 12 * view);
    intrinsics.set(Array.from(pose.intrinsics), 9 * view);
  }
  return { extrinsics, intrinsics };
};

/** Intrinsics of an image whose horizontal field of view is known. @returns (3, 3) pixels of the image. */
export const assumedIntrinsics = ({ width, height }: ImageSize, fieldOfViewDeg: number) => {
  const focal = width / 2 / Math.tan((fieldOfViewDeg * Math.PI) / 360);
  return [focal, 0, width / 2, 0, focal, height / 2, 0, 0, 1];
};
