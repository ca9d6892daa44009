/**
 * VGGT's token part: a DINOv2 patch encoder, then blocks that attend within a view and over all views in turn.
 * Source: VGGT (arXiv:2503.11651), vggt/models/aggregator.py and vggt/layers/vision_transformer.py.
 */
import {
  DINO_NAMES,
  IMAGENET_STATISTICS,
  jointVisionBlock,
  type ParameterScope,
  type PatchGrid,
  type RotaryTables,
  rotary2d,
  type Tensor,
  tf,
  viewsOfGroups,
  visionBlock,
  visionTower,
} from '@spatialsv/core/kit';
import { alternatingBlock, encoderConfig } from './vggt-blocks.js';
import type { VggtConfig } from './vggt-config.js';

const ROTARY = { base: 100, form: 'halves' } as const;

/** Result of one step, by group of views; tokens of a view are camera, registers, then patches row by row. */
export interface AggregatedStep {
  /** (Bᵢ, 1 + registers + N, C), what the next step takes. */
  readonly tokens: readonly Tensor[];
  /** (V, 1 + registers + N, 2·C), the result of the frame block beside that of the global block: what heads read. */
  readonly joined: () => Tensor;
}

/**
 * One step: attention within each view, then over all views (a program).
 * @param parameters scope `aggregator`. @param groups (Bᵢ, 1 + registers + N, C), as of `groupsOfViews`.
 * @param step 0 … depth − 1. @param rotary of {@link viewRotary}.
 */
export function aggregateStep(
  config: VggtConfig,
  parameters: ParameterScope,
  groups: readonly Tensor[],
  step: number,
  rotary: RotaryTables,
): AggregatedStep {
  const block = alternatingBlock(config);
  const frame = parameters.scope(`frame_blocks.${step}`);
  const ofFrames = groups.map((views) => visionBlock(block, frame, views, { rotary }));
  const global = parameters.scope(`global_blocks.${step}`);
  const ofAll = jointVisionBlock(block, global, ofFrames, { rotary });
  const joined = () => viewsOfGroups(ofAll.map((all, i) => tf.concat([ofFrames[i]!, all], 2)));
  return { tokens: ofAll, joined };
}

/** Camera and register tokens before the patches of each view. @param patches (V, N, C). @param parameters scope `aggregator`. */
export const withSpecialTokens = (parameters: ParameterScope, patches: Tensor): Tensor =>
  tf.concat([specialTokens(parameters, patches.shape[0]!), patches], 1);

/** (V, H, W, 3) → (V, N, C) normalised patch tokens of the encoder. @param parameters scope `aggregator.patch_embed`. */
export function encodePatches(
  config: VggtConfig,
  parameters: ParameterScope,
  images: Tensor,
): Tensor {
  const { mean, std } = IMAGENET_STATISTICS as { mean: number[]; std: number[] };
  const normal = tf.div(tf.sub(images, tf.tensor1d(mean)), tf.tensor1d(std));
  return visionTower(encoderConfig(config), DINO_NAMES, parameters, { images: normal }).features();
}

/** (V, 1 + registers, C). The first view has tokens of its own: that alone makes it the world frame. */
function specialTokens(parameters: ParameterScope, views: number): Tensor {
  const pairs = tf.concat([parameters.get('camera_token'), parameters.get('register_token')], 2);
  const [, , tokens, channels] = pairs.shape as [number, number, number, number];
  const slot = (index: number) =>
    tf.reshape(tf.slice(pairs, [0, index, 0, 0], [1, 1, tokens, channels]), [1, tokens, channels]);
  return views === 1 ? slot(0) : tf.concat([slot(0), tf.tile(slot(1), [views - 1, 1, 1])], 0);
}

/** Rotary positions of a view: special tokens at (0, 0), patches from (1, 1). Views are not told apart. */
export function viewRotary(config: VggtConfig, { h, w }: PatchGrid): RotaryTables {
  const positions = new Array<number>(2 * (1 + config.registers)).fill(0);
  for (let row = 0; row < h; row++)
    for (let column = 0; column < w; column++) positions.push(row + 1, column + 1);
  return rotary2d(positions, config.width / config.aggregator.heads, ROTARY);
}
