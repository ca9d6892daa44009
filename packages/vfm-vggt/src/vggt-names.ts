import type { VggtConfig } from './vggt-config.js';

type Shape = readonly number[];
type Entry = readonly [name: string, shape: Shape];

/** Channels of the first convolution after the resize, in every head. */
const HIDDEN = 32;

/** Values of a pose: translation (3), quaternion (4), fields of view (2). */
export const POSE_VALUES = 9;

/** Output channels of each dense head; the last one is the confidence. */
export const HEAD_OUTPUTS = { depth: 2, point: 4 } as const;

export type DenseHead = keyof typeof HEAD_OUTPUTS;

/**
 * Every tensor that a checkpoint of these sizes holds, with its shape, except those of the track head, which labels do
 * not need. Names are the published ones.
 */
export const vggtTensorShapes = (config: VggtConfig): ReadonlyMap<string, Shape> =>
  new Map([
    ...aggregatorTensors(config),
    ...cameraTensors(config),
    ...denseTensors(config, 'depth'),
    ...(config.pointHead ? denseTensors(config, 'point') : []),
  ]);

/** Whether a tensor of the file is known and left unread. */
export const isIgnoredTensor = (name: string, config: VggtConfig): boolean =>
  name.startsWith('track_head.') || (!config.pointHead && name.startsWith('point_head.'));

const below = (scope: string, entries: readonly Entry[]): Entry[] =>
  entries.map(([name, shape]) => [`${scope}.${name}`, shape]);

const linear = (name: string, outputs: number, inputs: number): Entry[] => [
  [`${name}.weight`, [outputs, inputs]],
  [`${name}.bias`, [outputs]],
];

const convolution = (name: string, outputs: number, inputs: number, kernel: number): Entry[] => [
  [`${name}.weight`, [outputs, inputs, kernel, kernel]],
  [`${name}.bias`, [outputs]],
];

const norm = (name: string, width: number): Entry[] => [
  [`${name}.weight`, [width]],
  [`${name}.bias`, [width]],
];

/** @param headDim channels of a head, for blocks that normalise queries and keys. */
const block = (width: number, headDim?: number): Entry[] => [
  ...norm('norm1', width),
  ...linear('attn.qkv', 3 * width, width),
  ...(headDim === undefined
    ? []
    : [...norm('attn.q_norm', headDim), ...norm('attn.k_norm', headDim)]),
  ...linear('attn.proj', width, width),
  ['ls1.gamma', [width]],
  ...norm('norm2', width),
  ...linear('mlp.fc1', 4 * width, width),
  ...linear('mlp.fc2', width, 4 * width),
  ['ls2.gamma', [width]],
];

const blocks = (scope: string, depth: number, entries: readonly Entry[]): Entry[] =>
  Array.from({ length: depth }, (_, i) => below(`${scope}.${i}`, entries)).flat();

function aggregatorTensors(config: VggtConfig): Entry[] {
  const { width, registers, aggregator } = config;
  const alternating = block(width, width / aggregator.heads);
  return below('aggregator', [
    ['camera_token', [1, 2, 1, width]],
    ['register_token', [1, 2, registers, width]],
    ...below('patch_embed', encoderTensors(config)),
    ...blocks('frame_blocks', aggregator.depth, alternating),
    ...blocks('global_blocks', aggregator.depth, alternating),
  ]);
}

function encoderTensors({ width, registers, imageSize, patchSize, encoder }: VggtConfig): Entry[] {
  const patches = (imageSize / patchSize) ** 2;
  return [
    ['cls_token', [1, 1, width]],
    ['pos_embed', [1, 1 + patches, width]],
    ['register_tokens', [1, registers, width]],
    ['mask_token', [1, width]],
    ...convolution('patch_embed.proj', width, 3, patchSize),
    ...blocks('blocks', encoder.depth, block(width)),
    ...norm('norm', width),
  ];
}

function cameraTensors({ width, camera }: VggtConfig): Entry[] {
  const wide = 2 * width;
  return below('camera_head', [
    ['empty_pose_tokens', [1, 1, POSE_VALUES]],
    ...norm('token_norm', wide),
    ...norm('trunk_norm', wide),
    ...blocks('trunk', camera.depth, block(wide)),
    ...linear('embed_pose', wide, POSE_VALUES),
    ...linear('poseLN_modulation.1', 3 * wide, wide),
    ...linear('pose_branch.fc1', width, wide),
    ...linear('pose_branch.fc2', POSE_VALUES, width),
  ]);
}

function denseTensors({ width, dense }: VggtConfig, head: DenseHead): Entry[] {
  const { stageChannels: stages, features } = dense;
  return below(`${head}_head`, [
    ...norm('norm', 2 * width),
    ...stages.flatMap((channels, k) => convolution(`projects.${k}`, channels, 2 * width, 1)),
    ...convolution('resize_layers.0', stages[0], stages[0], 4),
    ...convolution('resize_layers.1', stages[1], stages[1], 2),
    ...convolution('resize_layers.3', stages[3], stages[3], 3),
    ...below('scratch', [
      ...stages.map(
        (channels, k): Entry => [`layer${k + 1}_rn.weight`, [features, channels, 3, 3]],
      ),
      ...[1, 2, 3, 4].flatMap((level) => below(`refinenet${level}`, fusion(features, level))),
      ...convolution('output_conv1', features / 2, features, 3),
      ...convolution('output_conv2.0', HIDDEN, features / 2, 3),
      ...convolution('output_conv2.2', HEAD_OUTPUTS[head], HIDDEN, 1),
    ]),
  ]);
}

/** The deepest level has no finer path to add, hence one residual unit only. */
const fusion = (features: number, level: number): Entry[] => [
  ...convolution('out_conv', features, features, 1),
  ...(level < 4 ? residualUnit('resConfUnit1', features) : []),
  ...residualUnit('resConfUnit2', features),
];

const residualUnit = (name: string, features: number): Entry[] => [
  ...convolution(`${name}.conv1`, features, features, 3),
  ...convolution(`${name}.conv2`, features, features, 3),
];
