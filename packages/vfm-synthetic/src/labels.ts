import { type ImageSize, relativeToFirst } from '@spatialsv/core/kit';
import type { GeometryConventionsV1, GeometryLabelsV1 } from '@spatialsv/core/spec';
import { roomToCamera } from './camera.js';
import { FEATURE_CHANNELS, renderFeatures } from './features.js';
import { renderGeometry } from './render-view.js';
import type { Scene, SceneCamera } from './scene.js';

/** Pixel centres at u = j + ½, metres, world = the first camera of the request. */
export const SYNTHETIC_CONVENTIONS: GeometryConventionsV1 = {
  axes: 'opencv',
  extrinsics: 'world-to-camera',
  pixelCentre: 'half',
  depth: 'z-depth',
  scale: 'metric-metres',
  world: 'first-camera',
};

export interface LabelRequest {
  /** Camera of each view, in prompt order; the first one is the world frame. */
  readonly cameras: readonly SceneCamera[];
  /** Size of the labels. */
  readonly height: number;
  readonly width: number;
  /** Size of the images, whose field of view the labels share; the labels' own size where absent. */
  readonly imageSize?: ImageSize;
  /** Also render feature maps of this many cells. */
  readonly featureGrid?: { readonly h: number; readonly w: number };
}

/** Renders exact labels of some views of a scene at any size. */
export const renderLabels = (scene: Scene, request: LabelRequest): GeometryLabelsV1 => {
  const { cameras, height, width, imageSize = { width, height }, featureGrid } = request;
  const pixels = height * width;
  const depth = new Float32Array(cameras.length * pixels);
  const intrinsics = new Float32Array(cameras.length * 9);
  const poses = cameras.flatMap((camera) => [...roomToCamera(camera)]);
  cameras.forEach((camera, view) => {
    const geometry = renderGeometry(scene, camera, { width, height, imageSize });
    depth.set(geometry.depth, view * pixels);
    intrinsics.set(geometry.intrinsics, view * 9);
  });
  return {
    conventions: SYNTHETIC_CONVENTIONS,
    views: cameras.length,
    height,
    width,
    depth,
    mask: new Uint8Array(depth.length).fill(1),
    intrinsics,
    extrinsicsWorldToCamera: relativeToFirst(poses),
    ...(featureGrid ? { features: featureMaps(scene, cameras, featureGrid, imageSize) } : {}),
  };
};

const featureMaps = (
  scene: Scene,
  cameras: readonly SceneCamera[],
  grid: { readonly h: number; readonly w: number },
  imageSize: ImageSize,
): NonNullable<GeometryLabelsV1['features']> => {
  const stride = grid.h * grid.w * FEATURE_CHANNELS;
  const data = new Float32Array(cameras.length * stride);
  const roomToWorld = cameras[0] === undefined ? new Float64Array(12) : roomToCamera(cameras[0]);
  cameras.forEach((camera, view) => {
    data.set(renderFeatures(scene, camera, { grid, imageSize, roomToWorld }), view * stride);
  });
  return { data, h: grid.h, w: grid.w, channels: FEATURE_CHANNELS };
};
