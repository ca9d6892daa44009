import {
  ops,
  type ParameterScope,
  type Parameters,
  parameterScope,
  SpatialError,
  type Tensor,
  tf,
} from '@spatialsv/core';
import type { VisionConfig } from './qwen25vl-config.js';
import { MERGER_PREFIX, VISION_PREFIX } from './qwen25vl-names.js';
import { type WindowGroup, type WindowLayout, windowLayout } from './qwen25vl-windows.js';

/** Hard-coded in every checkpoint of the family. */
const NORM_EPSILON = 1e-6;

export type GridThw = readonly [number, number, number];

/**
 * Vision tower of one still image: patch embedding, then blocks that attend inside windows, some over the whole image.
 * The blocks run in window order, which changes nothing (attention follows permutations) and batches equal windows.
 * @param pixelValues (P, channels·T·patch²) float32, patches cell by cell as the image processor orders them.
 * @param gridThw patch grid (1, rows, columns).
 * @returns (P, Cv) after the last block, in the order of `pixelValues`.
 * @throws SpatialError SHAPE_MISMATCH when grid and pixels disagree, WEIGHT_MISSING.
 */
export function encodeImage(
  config: VisionConfig,
  parameters: Parameters,
  pixelValues: Tensor,
  gridThw: GridThw,
): Tensor {
  return visionStates(config, parameters, pixelValues, gridThw).at(-1)!();
}

/**
 * Output of the patch embedding and of every block, each as a function that puts it into processor order.
 * @returns depth + 1 functions giving (P, Cv).
 */
export function visionStates(
  config: VisionConfig,
  parameters: Parameters,
  pixelValues: Tensor,
  gridThw: GridThw,
): readonly (() => Tensor)[] {
  checkGrid(config, pixelValues, gridThw);
  const layout = windowLayout(config, gridThw[1], gridThw[2]);
  const tower = parameterScope(parameters, VISION_PREFIX);
  const inverse = tf.tensor(layout.inverse, [layout.inverse.length], 'int32') as tf.Tensor1D;
  const order = tf.tensor(layout.order, [layout.order.length], 'int32') as tf.Tensor1D;
  const context = blockContext(config, layout);
  let x = embedPatches(config, tower, tf.gather(pixelValues, order)); // (P, Cv) in window order
  const states = [x];
  for (let index = 0; index < config.depth; index++) {
    const groups = config.fullAttentionBlocks.includes(index)
      ? [{ count: 1, patches: layout.order.length }]
      : layout.groups;
    x = visionBlock(config, tower.scope(`blocks.${index}`), x, { ...context, groups });
    states.push(x);
  }
  return states.map((state) => () => tf.gather(state, inverse));
}

function checkGrid(config: VisionConfig, pixelValues: Tensor, gridThw: GridThw): void {
  const [t, rows, columns] = gridThw;
  const values = config.channels * config.temporalPatchSize * config.patchSize ** 2;
  const isDivisible = rows % config.mergeSize === 0 && columns % config.mergeSize === 0;
  const [patches, width] = pixelValues.shape;
  if (t === 1 && isDivisible && patches === rows * columns && width === values) return;
  throw new SpatialError({
    code: 'SHAPE_MISMATCH',
    message:
      `pixel values of grid (${gridThw.join(', ')}): expected one frame, sides divisible by ${config.mergeSize} and ` +
      `(${rows * columns}, ${values}) values, found (${pixelValues.shape.join(', ')})`,
    hint: 'Pass the pixel values and the grid that prepare() returned for the same view.',
  });
}

/** A stride-equals-kernel convolution is a linear map of the flattened patch. */
function embedPatches(config: VisionConfig, tower: ParameterScope, patches: Tensor): Tensor {
  const weight = tower.get('patch_embed.proj.weight');
  return ops.linear(patches, tf.reshape(weight, [config.hiddenSize, -1]));
}

interface BlockContext {
  /** (P, hd/2). */
  readonly cos: Tensor;
  readonly sin: Tensor;
  readonly groups: readonly WindowGroup[];
}

function blockContext(config: VisionConfig, layout: WindowLayout): BlockContext {
  const shape = [layout.order.length, config.headDim / 2];
  const { groups } = layout;
  return { cos: tf.tensor(layout.cos, shape), sin: tf.tensor(layout.sin, shape), groups };
}

function visionBlock(
  config: VisionConfig,
  block: ParameterScope,
  x: Tensor,
  context: BlockContext,
): Tensor {
  const n1 = ops.rmsNorm(x, block.get('norm1.weight'), NORM_EPSILON);
  const middle = tf.add(x, windowAttention(config, block.scope('attn'), n1, context));
  const n2 = ops.rmsNorm(middle, block.get('norm2.weight'), NORM_EPSILON);
  return tf.add(middle, swiGluWithBias(block.scope('mlp'), n2));
}

function windowAttention(
  config: VisionConfig,
  attention: ParameterScope,
  x: Tensor,
  context: BlockContext,
): Tensor {
  const { heads, headDim, hiddenSize } = config;
  const patches = x.shape[0]!;
  const fused = linear(attention.scope('qkv'), x); // (P, 3·Cv), rows q | k | v
  const split = tf.transpose(tf.reshape(fused, [patches, 3, heads, headDim]), [1, 2, 0, 3]);
  const part = (index: number) =>
    tf.reshape(tf.slice(split, [index, 0, 0, 0], [1, heads, patches, headDim]), [
      heads,
      patches,
      headDim,
    ]);
  const queries = ops.rotary(part(0), context.cos, context.sin); // (heads, P, hd)
  const keys = ops.rotary(part(1), context.cos, context.sin);
  const mixed = attendByGroup(queries, keys, part(2), context.groups);
  return linear(
    attention.scope('proj'),
    tf.reshape(tf.transpose(mixed, [1, 0, 2]), [patches, hiddenSize]),
  );
}

/** Attention inside windows: each group of equal windows is one batch of heads · count. */
function attendByGroup(
  queries: Tensor,
  keys: Tensor,
  values: Tensor,
  groups: readonly WindowGroup[],
): Tensor {
  const [heads, , headDim] = queries.shape as [number, number, number];
  let start = 0;
  const outputs = groups.map(({ count, patches }) => {
    const cut = (x: Tensor) => {
      const rows = tf.slice(x, [0, start, 0], [heads, count * patches, headDim]);
      return tf.reshape(rows, [heads * count, patches, headDim]);
    };
    const mixed = ops.attention(cut(queries), cut(keys), cut(values), { scale: headDim ** -0.5 });
    start += count * patches;
    return tf.reshape(mixed, [heads, count * patches, headDim]);
  });
  return outputs.length === 1 ? outputs[0]! : tf.concat(outputs, 1); // (heads, P, hd)
}

/** down(silu(gate(x)) · up(x)), all with biases. */
function swiGluWithBias(mlp: ParameterScope, x: Tensor): Tensor {
  const gate = ops.silu(linear(mlp.scope('gate_proj'), x));
  return linear(mlp.scope('down_proj'), tf.mul(gate, linear(mlp.scope('up_proj'), x)));
}

function linear(layer: ParameterScope, x: Tensor): Tensor {
  return ops.linear(x, layer.get('weight'), layer.get('bias'));
}

/**
 * Vision-language projector: RMS norm of each patch, the patches of a cell side by side, a two-layer perceptron.
 * @param features (P, Cv) in processor order.
 * @returns (h·w, C), row-major.
 */
export function mergePatches(
  config: VisionConfig,
  parameters: Parameters,
  features: Tensor,
): Tensor {
  const merger = parameterScope(parameters, MERGER_PREFIX);
  const normed = ops.rmsNorm(features, merger.get('ln_q.weight'), NORM_EPSILON);
  const cells = tf.reshape(normed, [-1, config.hiddenSize * config.mergeSize ** 2]); // (h·w, 4·Cv)
  return linear(merger.scope('mlp.2'), ops.gelu(linear(merger.scope('mlp.0'), cells)));
}
