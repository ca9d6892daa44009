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
  type PatchGrid,
  type RotaryTables,
  rotary2d,
  type Stretch,
  stretchesFrom,
  type Tensor,
  tf,
  viewsOfGroups,
  visionBlock,
  visionTower,
} from '@spatialsv/core/kit';
import { blockConfig, NORM_EPSILON, trunkConfig, trunkNames } from './da3-blocks.js';
import type { BackboneConfig } from './da3-config.js';

const ROTARY = { base: 100, form: 'halves' } as const;

export type Taps = Readonly<Record<string, Tensor>>;

/** Blocks that run before the reference view is chosen: all of them in networks that look at one image. */
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
  const blocks = blocksBeforeMixing(config);
  const early = config.taps.filter((tap) => tap < blocks);
  const request = { blocks, states: early.map((tap) => tap + 1) };
  const tower = visionTower(
    trunkConfig(config),
    trunkNames(config),
    scope,
    { images: image },
    request,
  );
  const taps = early.map((tap) => {
    const patches = tower.states[tap + 1]!;
    return [config.taps.indexOf(tap), tapOf(config, scope, patches, patches)] as const;
  });
  return { state: tower.tokens, taps: Object.fromEntries(taps) };
}

const runBlock = (
  config: BackboneConfig,
  scope: ParameterScope,
  block: number,
  x: Tensor,
  rotary?: RotaryTables,
): Tensor => {
  const names = trunkNames(config).block;
  return visionBlock(blockConfig(config, block), blockScope(scope, block), x, { rotary, names });
};

const blockScope = (scope: ParameterScope, block: number) => scope.scope(`blocks.${block}`);

/** What the heads read of a block: the final norm is applied to the state but not to the local half. (S, N, …). */
const tapOf = (
  config: BackboneConfig,
  scope: ParameterScope,
  local: Tensor,
  state: Tensor,
): Tensor => {
  const normed = layerNorm(scope.scope('norm'), state, NORM_EPSILON);
  return config.concatenates ? tf.concat([local, normed], 2) : normed;
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

/** The second part in stretches that end at the taps. */
export const stretchesOf = (config: BackboneConfig): readonly Stretch[] =>
  stretchesFrom(blocksBeforeMixing(config), config.taps);

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
  grid: PatchGrid,
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
  const taps = groups.map((state, i) =>
    tapOf(config, scope, withoutSpecial(local[i]!), withoutSpecial(state)),
  );
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
): readonly Tensor[] => {
  const options = { rotary, names: trunkNames(config).block };
  return jointVisionBlock(blockConfig(config, block), blockScope(scope, block), groups, options);
};

const replaceSpecial = (state: Tensor, tokens: Tensor): Tensor =>
  tf.concat([tokens, withoutSpecial(state)], 1);

/** (S, 1, C): one learnt token for the reference view, another for all others. */
const learntTokens = (scope: ParameterScope, views: number): Tensor => {
  const [reference, other] = tf.split(scope.get('camera_token'), 2, 1) as [Tensor, Tensor];
  return views === 1 ? reference : tf.concat([reference, tf.tile(other, [views - 1, 1, 1])], 0);
};

/** Special tokens lie at (0, 0); patches at (row + 1, column + 1) within views, and all at (1, 1) across them. */
const rotaryOf = ({ channels, heads }: BackboneConfig, { h, w }: PatchGrid) => {
  const local = [0, 0];
  const together = [0, 0];
  for (let patch = 0; patch < h * w; patch++) {
    local.push(Math.floor(patch / w) + 1, (patch % w) + 1);
    together.push(1, 1);
  }
  const tables = (positions: readonly number[]) => rotary2d(positions, channels / heads, ROTARY);
  return { local: tables(local), global: tables(together) };
};
