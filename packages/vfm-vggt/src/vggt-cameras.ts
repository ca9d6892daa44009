import { decodePose } from '@spatialsv/core/kit';
import { POSE_VALUES } from './vggt-names.js';

/**
 * Cameras of poses.
 * @param pose (V, 9) as of the camera head. @param size pixels of the network's input.
 * @returns extrinsics (V, 3, 4) world-to-camera, and intrinsics (V, 3, 3) with the principal point at (W/2, H/2), pixel
 *   centres at integers. A field of view of 0 gives an infinite focal length.
 */
export function decodeCameras(
  pose: Float32Array | Float64Array,
  size: { readonly height: number; readonly width: number },
): { readonly extrinsics: Float32Array; readonly intrinsics: Float32Array } {
  const views = pose.length / POSE_VALUES;
  const extrinsics = new Float32Array(views * 12);
  const intrinsics = new Float32Array(views * 9);
  for (let view = 0; view < views; view++) {
    const camera = decodePose(pose.subarray(view * POSE_VALUES, (view + 1) * POSE_VALUES), size);
    extrinsics.set(camera.extrinsicsWorldToCamera, view * 12);
    intrinsics.set(camera.intrinsics, view * 9);
  }
  return { extrinsics, intrinsics };
}
