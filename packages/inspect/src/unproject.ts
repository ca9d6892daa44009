import { type GeometryConventionsV1, type GeometryLabelsV1, SpatialError } from '@spatialsv/core';
import { cameraToWorld, type ViewCamera } from './cameras.js';

/**
 * Points of a depth map and a ray map: point = origin + depth · direction (equation 9 of the paper).
 * @param depth (V, H, W) z-depth. @param rays (V, H, W, 6) origin then direction, direction not normalised.
 * @returns (V, H, W, 3) world frame.
 */
export function pointsFromRays(depth: Float32Array, rays: Float32Array): Float32Array {
  if (rays.length !== depth.length * 6) {
    throw new SpatialError({
      code: 'SHAPE_MISMATCH',
      message: `ray map: expected ${depth.length * 6} elements for ${depth.length} depths, found ${rays.length}`,
      hint: 'Give rays (V, H, W, 6) at the resolution of the depth map (V, H, W).',
    });
  }
  const points = new Float32Array(depth.length * 3);
  for (let i = 0; i < depth.length; i++) {
    for (let axis = 0; axis < 3; axis++) {
      points[i * 3 + axis] = rays[i * 6 + axis]! + depth[i]! * rays[i * 6 + 3 + axis]!;
    }
  }
  return points;
}

/**
 * Points of one depth map per camera: X = Rᵀ (d · K⁻¹ [u v 1]ᵀ − t).
 * @param depth (V, H, W) z-depth.
 * @param pixelCentre `half`: the first pixel's centre is at ½; `integer`: at 0.
 * @returns (V, H, W, 3) world frame.
 */
export function pointsFromCameras(
  depth: Float32Array,
  cameras: readonly ViewCamera[],
  pixelCentre: GeometryConventionsV1['pixelCentre'],
): Float32Array {
  const points = new Float32Array(depth.length * 3);
  const offset = pixelCentre === 'half' ? 0.5 : 0;
  let i = 0;
  for (const camera of cameras) {
    const k = camera.intrinsics;
    for (let row = 0; row < camera.height; row++) {
      for (let column = 0; column < camera.width; column++, i++) {
        const y = (row + offset - k[5]!) / k[4]!;
        const x = (column + offset - k[2]! - k[1]! * y) / k[0]!;
        const d = depth[i]!;
        points.set(cameraToWorld(camera, [x * d, y * d, d]), i * 3);
      }
    }
  }
  return points;
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
