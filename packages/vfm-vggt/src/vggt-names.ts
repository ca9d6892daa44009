import {
  dptShapes,
  layerShapes,
  normShapes,
  type Shapes,
  shapesBelow,
  towerShapes,
  type VisionBlockConfig,
  visionBlockShapes,
} from '@spatialsv/core/kit';
import { alternatingBlock, cameraBlock, encoderConfig } from './vggt-blocks.js';
import type { VggtConfig } from './vggt-config.js';

/** Channels of the first convolution after the resize, in every head. */
const HIDDEN = 32;

/** Values of a pose: translation (3), quaternion (4), fields of view (2). */
export const POSE_VALUES = 9;

/** Output channels of each dense head; the last one is the confidence. */
const HEAD_OUTPUTS = { depth: 2, point: 4 } as const;

export type DenseHead = keyof typeof HEAD_OUTPUTS;

/**
 * Every tensor that a checkpoint of these sizes holds, with its shape, except those of the track head, which labels do
 * not need. Names are the published ones.
 */
export const vggtTensorShapes = (config: VggtConfig): Shapes => ({
  ...shapesBelow('aggregator', aggregatorShapes(config)),
  ...shapesBelow('camera_head', cameraShapes(config)),
  ...shapesBelow('depth_head', denseShapes(config, 'depth')),
  ...(config.pointHead ? shapesBelow('point_head', denseShapes(config, 'point')) : {}),
});

/** Whether a tensor of the file is known and left unread. */
export const isIgnoredTensor = (name: string, config: VggtConfig): boolean =>
  name.startsWith('track_head.') || (!config.pointHead && name.startsWith('point_head.'));

const layer = { kind: 'layer' } as const;

const blockShapes = (name: string, depth: number, block: VisionBlockConfig): Shapes => {
  const shapes = visionBlockShapes(block);
  const blocks = Array.from({ length: depth }, (_, i) => shapesBelow(`${name}.${i}`, shapes));
  return Object.assign({}, ...blocks);
};

function aggregatorShapes(config: VggtConfig): Shapes {
  const { width, registers, aggregator } = config;
  const alternating = alternatingBlock(config);
  return {
    camera_token: [1, 2, 1, width],
    register_token: [1, 2, registers, width],
    ...shapesBelow('patch_embed', {
      ...towerShapes(encoderConfig(config)),
      mask_token: [1, width],
    }),
    ...blockShapes('frame_blocks', aggregator.depth, alternating),
    ...blockShapes('global_blocks', aggregator.depth, alternating),
  };
}

function cameraShapes(config: VggtConfig): Shapes {
  const { width, camera } = config;
  const wide = 2 * width;
  return {
    empty_pose_tokens: [1, 1, POSE_VALUES],
    ...normShapes('token_norm', wide, layer),
    ...normShapes('trunk_norm', wide, layer),
    ...blockShapes('trunk', camera.depth, cameraBlock(config)),
    ...layerShapes('embed_pose', [wide, POSE_VALUES]),
    ...layerShapes('poseLN_modulation.1', [3 * wide, wide]),
    ...layerShapes('pose_branch.fc1', [width, wide]),
    ...layerShapes('pose_branch.fc2', [POSE_VALUES, width]),
  };
}

const denseShapes = ({ width, dense }: VggtConfig, head: DenseHead): Shapes => ({
  ...normShapes('norm', 2 * width, layer),
  ...dptShapes({
    inputs: 2 * width,
    stages: dense.stageChannels,
    features: dense.features,
    hidden: HIDDEN,
    outputs: HEAD_OUTPUTS[head],
  }),
});
