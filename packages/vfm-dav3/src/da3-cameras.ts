/** Cameras in and out of the network. Source: Depth Anything 3, model/cam_enc.py, model/cam_dec.py, api.py. */
import {
  cameraCentre,
  composeRigid,
  encodePose,
  type ImageSize,
  intrinsicsFromFov,
  invertRigid,
  layerNorm,
  ops,
  type ParameterScope,
  quaternionToMatrix,
  rigidFrom,
  type Tensor,
  tf,
  visionBlock,
} from '@spatialsv/core/kit';
import { cameraBlock } from './da3-blocks.js';
import type { CameraEncoderConfig } from './da3-config.js';

const EPSILON = 1e-5;
/** Values of a pose: camera centre (3), quaternion xyzw of camera-to-world (4), vertical and horizontal field of view. */
export const POSE_SIZE = 9;

/** Cameras of a view set as the network takes them. */
export interface KnownCameras {
  /** (V, 3, 4). */
  readonly extrinsicsWorldToCamera: ArrayLike<number>;
  /** (V, 3, 3) pixels of the network's input. */
  readonly intrinsics: ArrayLike<number>;
}

// ---------------------------------------------------------------------------------------------- encoder

/** @returns (V, 9) poses of known cameras. */
export const posesOf = (cameras: KnownCameras, size: ImageSize): Float32Array => {
  const views = cameras.extrinsicsWorldToCamera.length / 12;
  const poses = new Float32Array(views * POSE_SIZE);
  for (let view = 0; view < views; view++) {
    const intrinsics = Array.from({ length: 9 }, (_, i) => cameras.intrinsics[9 * view + i]!);
    const cameraToWorld = invertRigid(rigidOf(cameras.extrinsicsWorldToCamera, view));
    // The encoding is that of any rigid transform; this network is given camera-to-world.
    const camera = { intrinsics, extrinsicsWorldToCamera: cameraToWorld };
    poses.set(encodePose(camera, size), view * POSE_SIZE);
  }
  return poses;
};

const rigidOf = (stack: ArrayLike<number>, view: number): number[] =>
  Array.from({ length: 12 }, (_, i) => stack[12 * view + i]!);

/** Centres nearer than this on the median are not scaled up. */
const MIN_DISTANCE = 0.1;

/**
 * Cameras as the network was trained to take them: relative to view 0, and with the median distance of the centres from
 * it, at least 0.1, as the unit.
 */
export const normaliseCameras = (cameras: KnownCameras): KnownCameras => {
  const views = cameras.extrinsicsWorldToCamera.length / 12;
  const fromFirst = invertRigid(rigidOf(cameras.extrinsicsWorldToCamera, 0));
  const relative = [...Array(views).keys()].map((view) =>
    composeRigid(rigidOf(cameras.extrinsicsWorldToCamera, view), fromFirst),
  );
  const distances = relative.map((rigid) => Math.hypot(...cameraCentre(rigid)));
  // The lower of two middle values, as torch.median takes it.
  const median = distances.sort((a, b) => a - b)[Math.floor((views - 1) / 2)]!;
  const unit = Math.max(median, MIN_DISTANCE);
  const extrinsicsWorldToCamera = relative.flatMap((rigid) =>
    rigid.map((value, i) => (i % 4 === 3 ? value / unit : value)),
  );
  return { ...cameras, extrinsicsWorldToCamera };
};

/** Tokens of known cameras. @param poses (S, 9). @returns (S, 1, C). */
export function cameraTokens(
  encoder: CameraEncoderConfig,
  scope: ParameterScope,
  poses: Tensor,
): Tensor {
  const branch = scope.scope('pose_branch');
  const hidden = ops.gelu(branch.linear('fc1', poses));
  const lifted = branch.linear('fc2', hidden);
  let tokens = tf.expandDims(layerNorm(scope.scope('token_norm'), lifted, EPSILON), 0);
  const channels = tokens.shape[2]!;
  for (let block = 0; block < encoder.depth; block++) {
    tokens = visionBlock(cameraBlock(channels, encoder), scope.scope(`trunk.${block}`), tokens);
  }
  return tf.transpose(layerNorm(scope.scope('trunk_norm'), tokens, EPSILON), [1, 0, 2]);
}

// ---------------------------------------------------------------------------------------------- decoder

/** Poses from the special tokens of the last tap. @param special (S, 2C). @returns (S, 9). */
export function decodePoses(scope: ParameterScope, special: Tensor): Tensor {
  const first = tf.relu(scope.linear('backbone.0', special));
  const second = tf.relu(scope.linear('backbone.2', first));
  const read = (name: string) => scope.linear(name, second);
  return tf.concat([read('fc_t'), read('fc_qvec'), tf.relu(read('fc_fov.0'))], 1);
}

/** Largest focal length, in half sizes of the image: the field of view of an untrained network may be 0. */
const MAX_FOCAL = 1e6;

/**
 * Cameras of decoded poses. The principal point is the middle of the image.
 * @param poses (V, 9). @param size pixels of the network's input.
 */
export const camerasOfPoses = (
  poses: ArrayLike<number>,
  size: ImageSize,
): { readonly extrinsics: Float32Array; readonly intrinsics: Float32Array } => {
  const views = poses.length / POSE_SIZE;
  const extrinsics = new Float32Array(views * 12);
  const intrinsics = new Float32Array(views * 9);
  for (let view = 0; view < views; view++) {
    const pose = Array.from({ length: POSE_SIZE }, (_, i) => poses[POSE_SIZE * view + i]!);
    const cameraToWorld = rigidFrom(quaternionToMatrix(pose.slice(3, 7)), pose.slice(0, 3));
    extrinsics.set(invertRigid(cameraToWorld), 12 * view);
    intrinsics.set(intrinsicsOf(pose[7]!, pose[8]!, size), 9 * view);
  }
  return { extrinsics, intrinsics };
};

const intrinsicsOf = (fovHeightRad: number, fovWidthRad: number, size: ImageSize): number[] => {
  // Beyond half a turn the tangent is negative, and the focal length is as unbounded as at 0.
  const bounded = (focal: number, half: number) =>
    focal > 0 ? Math.min(focal, MAX_FOCAL * half) : MAX_FOCAL * half;
  const k = intrinsicsFromFov({ fovHeightRad, fovWidthRad }, size);
  k[0] = bounded(k[0]!, size.width / 2);
  k[4] = bounded(k[4]!, size.height / 2);
  return k;
};
