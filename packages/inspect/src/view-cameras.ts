import {
  type CameraStack,
  type GeometryConventionsV1,
  type GeometryLabelsV1,
  pointsFromRays,
  robustPoseFromRays,
  unprojectDepth,
} from '@spatialsv/core';
import type { ViewCamera } from './cameras.js';
import type { LiftPredictions } from './lift-input.js';

export interface MapSize {
  readonly views: number;
  readonly height: number;
  readonly width: number;
}

type PixelCentre = GeometryConventionsV1['pixelCentre'];

/** Fields of view outside of this are no camera but the fit to noise of an untrained head. */
const NARROWEST_RAD = 0.02;
const WIDEST_RAD = 3.1;

/** Equal maps give equal cameras. */
const SEED = 0;

/**
 * Cameras that a ray map describes, in pixels of the map; undefined for a view whose rays describe none. A part of the rays may
 * be wrong: see `robustPoseFromRays`.
 * @param rays (V, H, W, 6). @param confidence (V, H, W) weights.
 */
export function camerasFromRays(
  rays: Float32Array,
  { views, height, width }: MapSize,
  pixelCentre: PixelCentre,
  confidence?: Float32Array,
): (ViewCamera | undefined)[] {
  const pixels = height * width;
  return Array.from({ length: views }, (_, view) => {
    const weights = confidence?.subarray(view * pixels, (view + 1) * pixels);
    const pose = robustPoseFromRays(rays.subarray(view * pixels * 6, (view + 1) * pixels * 6), {
      seed: SEED,
      grid: { height, width },
      image: { height, width },
      pixelCentre,
      ...(weights && { confidence: weights }),
    });
    if (pose === undefined) return undefined;
    const camera: ViewCamera = {
      intrinsics: Float32Array.from(pose.intrinsics),
      extrinsicsWorldToCamera: Float32Array.from(pose.extrinsicsWorldToCamera),
      width,
      height,
      fit: {
        inlierShare: pose.inlierShare,
        residualDeg: pose.residualDeg,
        originSpread: pose.originSpread,
      },
    };
    return isPlausible(camera) ? camera : undefined;
  });
}

function isPlausible({ intrinsics, extrinsicsWorldToCamera, width, height }: ViewCamera): boolean {
  const fovs = [width / intrinsics[0]!, height / intrinsics[4]!].map((r) => 2 * Math.atan(r / 2));
  const finite = [...intrinsics, ...extrinsicsWorldToCamera].every(Number.isFinite);
  return finite && fovs.every((fov) => fov > NARROWEST_RAD && fov < WIDEST_RAD);
}

/** Cameras of labels, at the resolution of the labels. */
export function camerasOfLabels(labels: GeometryLabelsV1): ViewCamera[] {
  return Array.from({ length: labels.views }, (_, view) => ({
    intrinsics: labels.intrinsics.slice(view * 9, view * 9 + 9),
    extrinsicsWorldToCamera: labels.extrinsicsWorldToCamera.slice(view * 12, view * 12 + 12),
    width: labels.width,
    height: labels.height,
  }));
}

/**
 * World points of one depth map per camera.
 * @param depth (V, H, W) z-depth. @returns (V, H, W, 3).
 */
export function pointsFromCameras(
  depth: Float32Array,
  cameras: readonly ViewCamera[],
  pixelCentre: PixelCentre,
): Float32Array {
  const stack: CameraStack = {
    views: cameras.length,
    intrinsics: cameras.flatMap((camera) => [...camera.intrinsics]),
    extrinsicsWorldToCamera: cameras.flatMap((camera) => [...camera.extrinsicsWorldToCamera]),
    pixelCentre,
  };
  return unprojectDepth(depth, stack, cameras[0]!);
}

/**
 * (V, H, W, 3) world positions of predictions: depth along the ray map where there is one, else the point map, else depth through
 * the cameras; NaN where nothing says where a point lies.
 */
export function pointsOf(
  maps: LiftPredictions,
  cameras: readonly (ViewCamera | undefined)[],
): Float32Array {
  if (maps.rays !== undefined) return pointsFromRays(maps.rays, maps.depth);
  if (maps.points !== undefined) return maps.points;
  const known = cameras.filter((camera) => camera !== undefined);
  return known.length === maps.views
    ? pointsFromCameras(maps.depth, known, maps.conventions.pixelCentre)
    : new Float32Array(maps.depth.length * 3).fill(Number.NaN);
}
