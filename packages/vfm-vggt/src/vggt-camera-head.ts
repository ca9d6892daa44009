/**
 * VGGT's camera head: a pose that a small transformer over the views' camera tokens refines four times.
 * Source: VGGT (arXiv:2503.11651), vggt/heads/camera_head.py.
 */
import {
  layerNorm,
  ops,
  type ParameterScope,
  type Tensor,
  tf,
  visionBlock,
} from '@spatialsv/core/kit';
import { cameraBlock } from './vggt-blocks.js';
import type { VggtConfig } from './vggt-config.js';
import { POSE_VALUES } from './vggt-names.js';

const ITERATIONS = 4;
const EPSILON = 1e-5;
const MODULATED_EPSILON = 1e-6;
const LINEAR_VALUES = 7;

/**
 * Poses after each of the four refinements (a program); the last one is the result.
 * @param parameters scope `camera_head`.
 * @param tokens (V, 2·C) camera tokens of the last step.
 * @returns (V, 9) each: translation and quaternion xyzw of world-to-camera, then vertical and horizontal field of view in
 *   rad, ≥ 0. The quaternion has any length.
 */
export function cameraHead(
  config: VggtConfig,
  parameters: ParameterScope,
  tokens: Tensor,
): readonly Tensor[] {
  const views = tokens.shape[0]!;
  const normed = layerNorm(parameters.scope('token_norm'), tokens, EPSILON);
  const empty = tf.reshape(parameters.get('empty_pose_tokens'), [1, POSE_VALUES]);
  const poses: Tensor[] = [];
  let pose: Tensor | undefined;
  for (let i = 0; i < ITERATIONS; i++) {
    const given = pose ?? tf.tile(empty, [views, 1]);
    const change = poseChange(config, parameters, normed, given);
    pose = pose === undefined ? change : tf.add(pose, change);
    poses.push(activate(pose));
  }
  return poses;
}

/** (V, 9) correction of the raw pose `given` (V, 9). */
function poseChange(
  config: VggtConfig,
  parameters: ParameterScope,
  tokens: Tensor,
  given: Tensor,
): Tensor {
  const modulated = modulate(parameters, tokens, given);
  let sequence = tf.reshape(modulated, [1, ...tokens.shape]);
  const block = cameraBlock(config);
  for (let i = 0; i < config.camera.depth; i++) {
    sequence = visionBlock(block, parameters.scope(`trunk.${i}`), sequence);
  }
  const result = tf.reshape(sequence, tokens.shape);
  const branch = parameters.scope('pose_branch');
  const normed = layerNorm(parameters.scope('trunk_norm'), result, EPSILON);
  return branch.linear('fc2', ops.gelu(branch.linear('fc1', normed)));
}

/** Tokens shifted, scaled and gated by what the pose says: gate ⊙ (LN(x) ⊙ (1 + scale) + shift) + x. */
function modulate(parameters: ParameterScope, tokens: Tensor, pose: Tensor): Tensor {
  const embedded = ops.silu(parameters.linear('embed_pose', pose));
  const modulation = parameters.linear('poseLN_modulation.1', embedded);
  const [shift, scale, gate] = tf.split(modulation, 3, 1) as [Tensor, Tensor, Tensor];
  const channels = tokens.shape[1]!;
  const normed = ops.layerNorm(
    tokens,
    tf.ones([channels]),
    tf.zeros([channels]),
    MODULATED_EPSILON,
  );
  return tf.add(tf.mul(gate, tf.add(tf.mul(normed, tf.add(scale, 1)), shift)), tokens);
}

function activate(pose: Tensor): Tensor {
  const [linear, fields] = tf.split(pose, [LINEAR_VALUES, POSE_VALUES - LINEAR_VALUES], 1);
  return tf.concat([linear!, tf.relu(fields!)], 1);
}
