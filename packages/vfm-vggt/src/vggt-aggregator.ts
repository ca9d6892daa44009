/**
 * VGGT's token part: a DINOv2 patch encoder, then blocks that attend within a view and over all views in turn.
 * Source: VGGT (arXiv:2503.11651), vggt/models/aggregator.py and vggt/layers/vision_transformer.py.
 */
import {
  layerNorm,
  type ParameterScope,
  patchEmbedding,
  type RotaryTables,
  resamplePositionEmbedding,
  rotary2d,
  type Tensor,
  tf,
  type VisionBlockConfig,
  visionBlock,
} from '@spatialsv/core';
import type { VggtConfig } from './vggt-config.js';

const IMAGE_MEAN = [0.485, 0.456, 0.406];
const IMAGE_DEVIATION = [0.229, 0.224, 0.225];

const ENCODER_EPSILON = 1e-6;
const ALTERNATING_EPSILON = 1e-5;
const ROTARY_BASE = 100;

/**
 * Aggregates a view set (a program).
 * @param parameters scope `aggregator`.
 * @param images (V, H, W, 3) in 0..1, sides multiples of the patch.
 * @param steps which steps to give back, 0 … depth − 1.
 * @returns step → (V, 1 + registers + N, 2·C), the result of the frame block beside that of the global block. Tokens of a
 *   view: camera, registers, then patches row by row.
 */
export function aggregate(
  config: VggtConfig,
  parameters: ParameterScope,
  images: Tensor,
  steps: readonly number[],
): ReadonlyMap<number, Tensor> {
  const patches = encodePatches(config, parameters.scope('patch_embed'), images);
  const views = images.shape[0]!;
  let tokens: Tensor = tf.concat([specialTokens(parameters, views), patches], 1);
  const [, perView, channels] = tokens.shape as [number, number, number];
  const block = alternatingBlock(config);
  const rotary = rotaryOfViews(config, images);
  const kept = new Map<number, Tensor>();
  for (let step = 0; step < config.aggregator.depth; step++) {
    const ofFrames = visionBlock(
      block,
      parameters.scope(`frame_blocks.${step}`),
      tokens,
      rotary(1),
    );
    const joined = tf.reshape(ofFrames, [1, views * perView, channels]);
    const ofAll = visionBlock(
      block,
      parameters.scope(`global_blocks.${step}`),
      joined,
      rotary(views),
    );
    tokens = tf.reshape(ofAll, [views, perView, channels]);
    if (steps.includes(step)) kept.set(step, tf.concat([ofFrames, tokens], 2));
  }
  return kept;
}

/** (V, H, W, 3) → (V, N, C) normalised patch tokens of the encoder. @param parameters scope `aggregator.patch_embed`. */
export function encodePatches(
  config: VggtConfig,
  parameters: ParameterScope,
  images: Tensor,
): Tensor {
  const normal = tf.div(tf.sub(images, tf.tensor1d(IMAGE_MEAN)), tf.tensor1d(IMAGE_DEVIATION));
  let tokens = withEncoderTokens(config, parameters, normal);
  const block = { heads: config.encoder.heads, epsilon: ENCODER_EPSILON, mlp: 'gelu' } as const;
  for (let i = 0; i < config.encoder.depth; i++) {
    tokens = visionBlock(block, parameters.scope(`blocks.${i}`), tokens);
  }
  const [views, , channels] = tokens.shape as [number, number, number];
  const patches = tf.slice(tokens, [0, 1 + config.registers, 0], [views, -1, channels]);
  return layerNorm(parameters.scope('norm'), patches, ENCODER_EPSILON);
}

/** Class token, registers and patches; registers have no position. */
function withEncoderTokens(config: VggtConfig, parameters: ParameterScope, images: Tensor): Tensor {
  const patches = patchEmbedding(parameters.scope('patch_embed.proj'), images);
  const [views, , channels] = patches.shape as [number, number, number];
  const table = parameters.get('pos_embed');
  const grid = gridOf(config, images);
  const positions = resamplePositionEmbedding(table, grid, { kind: 'antialiased' });
  const first = tf.slice(table, [0, 0, 0], [1, 1, channels]);
  const special = tf.concat(
    [tf.add(parameters.get('cls_token'), first), parameters.get('register_tokens')],
    1,
  );
  return tf.concat([tf.tile(special, [views, 1, 1]), tf.add(patches, positions)], 1);
}

const gridOf = ({ patchSize }: VggtConfig, images: Tensor): { h: number; w: number } => ({
  h: images.shape[1]! / patchSize,
  w: images.shape[2]! / patchSize,
});

/** (V, 1 + registers, C). The first view has tokens of its own: that alone makes it the world frame. */
function specialTokens(parameters: ParameterScope, views: number): Tensor {
  const pairs = tf.concat([parameters.get('camera_token'), parameters.get('register_token')], 2);
  const [, , tokens, channels] = pairs.shape as [number, number, number, number];
  const slot = (index: number) =>
    tf.reshape(tf.slice(pairs, [0, index, 0, 0], [1, 1, tokens, channels]), [1, tokens, channels]);
  return views === 1 ? slot(0) : tf.concat([slot(0), tf.tile(slot(1), [views - 1, 1, 1])], 0);
}

const alternatingBlock = ({ aggregator }: VggtConfig): VisionBlockConfig => ({
  heads: aggregator.heads,
  epsilon: ALTERNATING_EPSILON,
  qkNormEpsilon: ALTERNATING_EPSILON,
  mlp: 'gelu',
});

/** Tables of the tokens of one or of all views: special tokens at (0, 0), patches from (1, 1); views are not told apart. */
function rotaryOfViews(config: VggtConfig, images: Tensor): (views: number) => RotaryTables {
  const { h, w } = gridOf(config, images);
  const positions = new Array<number>(2 * (1 + config.registers)).fill(0);
  for (let row = 0; row < h; row++)
    for (let column = 0; column < w; column++) positions.push(row + 1, column + 1);
  const headDim = config.width / config.aggregator.heads;
  const table = rotary2d(positions, headDim, ROTARY_BASE);
  const tables = new Map([[1, table]]);
  return (views) => {
    const known = tables.get(views);
    if (known !== undefined) return known;
    const tiled = {
      cos: tf.tile(table.cos, [views, 1]),
      sin: tf.tile(table.sin, [views, 1]),
    };
    tables.set(views, tiled);
    return tiled;
  };
}
