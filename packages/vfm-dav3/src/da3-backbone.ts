/**
 * Backbone of Depth Anything 3 (arXiv:2511.10647): DINOv2 whose later blocks attend within views and over all views in
 * turn. Source: model/dinov2/vision_transformer.py. It is cut in two programs, because between them one view is chosen
 * as the reference by the values of the tokens.
 */
import {
  groupsOfViews,
  jointVisionBlock,
  layerNorm,
  type ParameterScope,
  patchEmbedding,
  type RotaryTables,
  resamplePositionEmbedding,
  rotary2d,
  type Tensor,
  tf,
  type VisionBlockConfig,
  viewsOfGroups,
  visionBlock,
} from '@spatialsv/core';
import { type BackboneConfig, PATCH } from './da3-config.js';

const BLOCK_EPSILON = 1e-6;
const NORM_EPSILON = 1e-5;
const ROPE_BASE = 100;
const OFFSET = { kind: 'offset', offset: 0.1 } as const;

/** Rows and columns of patches. */
export interface Grid {
  readonly h: number;
  readonly w: number;
}

export type Taps = Readonly<Record<string, Tensor>>;

/** Blocks that run before the reference view is chosen: all of them in networks that look at one picture. */
export const blocksBeforeMixing = ({ depth, crossViewStart }: BackboneConfig): number =>
  crossViewStart === undefined ? depth : Math.max(crossViewStart - 1, 0);

/**
 * First part, one view.
 * @param scope scope of `cls_token`. @param image (1, H, W, 3), ImageNet-normalised, H and W multiples of 14.
 * @returns state (1, 1 + N, C) before block {@link blocksBeforeMixing}, and the taps (1, N, …) that lie before it.
 */
export function encodeView(
  config: BackboneConfig,
  scope: ParameterScope,
  image: Tensor,
): { readonly state: Tensor; readonly taps: Taps } {
  const taps: Record<string, Tensor> = {};
  let state = embedPatches(scope, image);
  for (let block = 0; block < blocksBeforeMixing(config); block++) {
    state = runBlock(config, scope, block, state);
    const place = config.taps.indexOf(block);
    if (place >= 0) taps[place] = tapOf(config, scope, state, state);
  }
  return { state, taps };
}

function embedPatches(scope: ParameterScope, image: Tensor): Tensor {
  const [, height, width] = image.shape as [number, number, number, number];
  const grid = { h: height / PATCH, w: width / PATCH };
  const table = scope.get('pos_embed');
  const channels = table.shape[2]!;
  const patches = patchEmbedding(scope.scope('patch_embed.proj'), image);
  const positions = resamplePositionEmbedding(table, grid, OFFSET);
  const special = tf.add(scope.get('cls_token'), tf.slice(table, [0, 0, 0], [1, 1, channels]));
  return tf.concat([special, tf.add(patches, tf.expandDims(positions, 0))], 1);
}

const runBlock = (
  config: BackboneConfig,
  scope: ParameterScope,
  block: number,
  x: Tensor,
  rotary?: RotaryTables,
): Tensor => visionBlock(blockOptions(config, block), scope.scope(`blocks.${block}`), x, rotary);

const blockOptions = (config: BackboneConfig, block: number): VisionBlockConfig => {
  const { heads, mlp } = config;
  const isNormed = config.crossViewStart !== undefined && block >= config.crossViewStart;
  const norms = isNormed ? { qkNormEpsilon: NORM_EPSILON } : {};
  return { heads, mlp, epsilon: BLOCK_EPSILON, ...norms };
};

/** What the heads read of a block: the final norm is applied to the state but not to the local half. */
const tapOf = (
  config: BackboneConfig,
  scope: ParameterScope,
  local: Tensor,
  state: Tensor,
): Tensor => {
  const normed = layerNorm(scope.scope('norm'), withoutSpecial(state), NORM_EPSILON);
  return config.concatenates ? tf.concat([withoutSpecial(local), normed], 2) : normed;
};

/** (S, 1 + N, C) → (S, N, C). */
const withoutSpecial = (x: Tensor): Tensor => {
  const [views, tokens, channels] = x.shape as [number, number, number];
  return tf.slice(x, [0, 1, 0], [views, tokens - 1, channels]);
};

const specialOf = (x: Tensor): Tensor => {
  const [views, , channels] = x.shape as [number, number, number];
  return tf.slice(x, [0, 0, 0], [views, 1, channels]);
};

/** Blocks of the second part that are one program: `first` … `last`. The last one is a tap. */
export interface Stretch {
  readonly first: number;
  readonly last: number;
}

export const isIn = ({ first, last }: Stretch, block: number): boolean =>
  block >= first && block <= last;

/** The second part in stretches, so that only the weights of one have to be in memory. */
export function stretchesOf(config: BackboneConfig): readonly Stretch[] {
  const start = blocksBeforeMixing(config);
  const ends = config.taps.filter((tap) => tap >= start);
  return ends.map((last, index) => ({ first: index === 0 ? start : ends[index - 1]! + 1, last }));
}

/** Views after a stretch. */
export interface MixedViews {
  /** (S, 1 + N, C): where the next stretch begins. */
  readonly state: Tensor;
  /** (S, N, …): what the heads read of the last block. */
  readonly tap: Tensor;
  /** (S, 2C): special tokens of the last block, not normalised; the camera decoder takes those of the last stretch. */
  readonly special: Tensor;
}

/**
 * A stretch of the second part, all views.
 * @param start (S, 1 + N, C), the reference view first.
 * @param cameraTokens (S, 1, C) of known cameras, for the stretch with the first cross-view block; the learnt ones where
 *   absent.
 */
export function mixViews(
  config: BackboneConfig,
  scope: ParameterScope,
  start: Tensor,
  grid: Grid,
  { first, last }: Stretch,
  cameraTokens?: Tensor,
): MixedViews {
  const rotary = rotaryOf(config, grid);
  let groups = groupsOfViews(start);
  // Blocks alternate: a stretch that begins with a global block follows one within views, whose state is the local one.
  let local = groups;
  for (let block = first; block <= last; block++) {
    if (block === config.crossViewStart) {
      const tokens = cameraTokens ?? learntTokens(scope, start.shape[0]!);
      groups = groupsOfViews(replaceSpecial(viewsOfGroups(groups), tokens));
    }
    const isRotated = block >= config.crossViewStart!;
    const isGlobal = isRotated && block % 2 === 1;
    const turned = isRotated ? rotary.local : undefined;
    if (isGlobal) groups = acrossViews(config, scope, block, groups, rotary.global);
    else local = groups = groups.map((views) => runBlock(config, scope, block, views, turned));
  }
  const taps = groups.map((state, i) => tapOf(config, scope, local[i]!, state));
  const special = groups.map((state, i) => tf.concat([specialOf(local[i]!), specialOf(state)], 2));
  return {
    state: viewsOfGroups(groups),
    tap: viewsOfGroups(taps),
    special: tf.reshape(viewsOfGroups(special), [start.shape[0]!, -1]),
  };
}

/** One sequence of all tokens. */
const acrossViews = (
  config: BackboneConfig,
  scope: ParameterScope,
  block: number,
  groups: readonly Tensor[],
  rotary: RotaryTables,
): readonly Tensor[] =>
  jointVisionBlock(blockOptions(config, block), scope.scope(`blocks.${block}`), groups, rotary);

const replaceSpecial = (state: Tensor, tokens: Tensor): Tensor =>
  tf.concat([tokens, withoutSpecial(state)], 1);

/** (S, 1, C): one learnt token for the reference view, another for all others. */
const learntTokens = (scope: ParameterScope, views: number): Tensor => {
  const [reference, other] = tf.split(scope.get('camera_token'), 2, 1) as [Tensor, Tensor];
  return views === 1 ? reference : tf.concat([reference, tf.tile(other, [views - 1, 1, 1])], 0);
};

/** Special tokens lie at (0, 0); patches at (row + 1, column + 1) within views, and all at (1, 1) across them. */
const rotaryOf = ({ channels, heads }: BackboneConfig, { h, w }: Grid) => {
  const local = [0, 0];
  const together = [0, 0];
  for (let patch = 0; patch < h * w; patch++) {
    local.push(Math.floor(patch / w) + 1, (patch % w) + 1);
    together.push(1, 1);
  }
  const tables = (positions: readonly number[]) => rotary2d(positions, channels / heads, ROPE_BASE);
  return { local: tables(local), global: tables(together) };
};
