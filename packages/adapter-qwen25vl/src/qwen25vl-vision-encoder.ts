import {
  type EncodedViewV1,
  ops,
  type ParameterScope,
  type Parameters,
  parameterScope,
  SpatialError,
  type Tensor,
  tf,
  type ViewLayoutV1,
} from '@spatialsv/core';
import type { VisionConfig } from './qwen25vl-config.js';
import type { PatchLayout } from './qwen25vl-image-processor.js';
import { MERGER_PREFIX, VISION_PREFIX } from './qwen25vl-names.js';
import { type WindowGroup, type WindowLayout, windowLayout } from './qwen25vl-windows.js';

/** Hard-coded in every checkpoint of the family. */
const NORM_EPSILON = 1e-6;

/**
 * Vision tower of one still image: patch embedding, then blocks that attend inside windows, some over the whole image.
 * The blocks run in window order, which changes nothing (attention follows permutations) and batches equal windows.
 * @param pixelValues (P, channels·T·patch²) float32, patches cell by cell as the image processor orders them.
 * @param layout that of the view's pixels.
 * @param states blocks whose output is wanted, 0 = patch embedding.
 * @returns (P, Cv) features after the last block, in the order of `pixelValues`; states with patches row-major.
 * @throws SpatialError SHAPE_MISMATCH when layout and pixels disagree, WEIGHT_MISSING.
 */
export function encodeImage(
  config: VisionConfig,
  parameters: Parameters,
  pixelValues: Tensor,
  layout: ViewLayoutV1,
  states: readonly number[] = [],
): EncodedViewV1 {
  const grid = requireGrid(config, pixelValues, layout);
  const windows = windowLayout(config, grid.rows, grid.columns);
  const outputs = blockOutputs(config, parameters, pixelValues, windows);
  const ordered = (state: Tensor, order: Int32Array) =>
    tf.gather(state, tf.tensor(order, [order.length], 'int32') as tf.Tensor1D);
  const rows = rowMajor(windows.inverse, grid, config.mergeSize);
  return {
    features: ordered(outputs.at(-1)!, windows.inverse),
    states: Object.fromEntries(states.map((index) => [index, ordered(outputs[index]!, rows)])),
  };
}

/** Output of the patch embedding and of every block, (P, Cv) each, in window order. */
function blockOutputs(
  config: VisionConfig,
  parameters: Parameters,
  pixelValues: Tensor,
  windows: WindowLayout,
): readonly Tensor[] {
  const tower = parameterScope(parameters, VISION_PREFIX);
  const order = tf.tensor(windows.order, [windows.order.length], 'int32') as tf.Tensor1D;
  const context = blockContext(config, windows);
  let x = embedPatches(config, tower, tf.gather(pixelValues, order)); // (P, Cv) in window order
  const outputs = [x];
  for (let index = 0; index < config.depth; index++) {
    const groups = config.fullAttentionBlocks.includes(index)
      ? [{ count: 1, patches: windows.order.length }]
      : windows.groups;
    x = visionBlock(config, tower.scope(`blocks.${index}`), x, { ...context, groups });
    outputs.push(x);
  }
  return outputs;
}

/** (P) place in window order of each patch, patches row by row instead of cell by cell. */
function rowMajor(inverse: Int32Array, { columns }: PatchLayout, merge: number): Int32Array {
  return inverse.map((_, patch) => {
    const [row, column] = [Math.floor(patch / columns), patch % columns];
    const cell = Math.floor(row / merge) * (columns / merge) + Math.floor(column / merge);
    const inside = (row % merge) * merge + (column % merge);
    return inverse[cell * merge * merge + inside]!;
  });
}

function requireGrid(config: VisionConfig, pixelValues: Tensor, layout: ViewLayoutV1): PatchLayout {
  const { rows, columns } = layout as PatchLayout;
  const values = config.channels * config.temporalPatchSize * config.patchSize ** 2;
  const isDivisible = rows % config.mergeSize === 0 && columns % config.mergeSize === 0;
  const [patches, width] = pixelValues.shape;
  if (isDivisible && patches === rows * columns && width === values) return layout as PatchLayout;
  throw new SpatialError({
    code: 'SHAPE_MISMATCH',
    message:
      `pixel values of layout ${layout.key}: expected sides divisible by ${config.mergeSize} and ` +
      `(${rows * columns}, ${values}) values, found (${pixelValues.shape.join(', ')})`,
    hint: 'Pass the pixel values and the layout that prepare() returned for the same view.',
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
  const fused = attention.linear('qkv', x); // (P, 3·Cv), rows q | k | v
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
  return attention.linear(
    'proj',
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
  const gate = ops.silu(mlp.linear('gate_proj', x));
  return mlp.linear('down_proj', tf.mul(gate, mlp.linear('up_proj', x)));
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
  return merger.linear('mlp.2', ops.gelu(merger.linear('mlp.0', cells)));
}
