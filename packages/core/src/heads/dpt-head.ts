/**
 * Dense prediction transformer head (DPT, arXiv:2103.13413) in the form that VGGT gives it.
 * Source: VGGT (arXiv:2503.11651), vggt/heads/dpt_head.py. Deviations: the skip path of the residual units is x unless
 * `residualRelu`; the 1×1 `out_conv` runs before the interpolation, with which it commutes; the finest fusion never
 * exceeds the asked output size.
 */
import { type Tensor, tf } from '@spatialsv/engine';
import type { ParameterScope } from '../nn/index.js';
import {
  convolve1x1,
  convolve3x3,
  convolveShared1x1,
  resizeAligned,
  upsampleByKernel,
} from './dense-layers.js';
import { addPositionEmbedding } from './position-embedding.js';

export interface DptOptions {
  readonly residualRelu: boolean;
  readonly positionEmbedding: boolean;
}

/** One head: its parameters and the image that it decodes. */
export interface DptContext {
  readonly options: DptOptions;
  /** Scope that holds `projects.0.weight`, for example `spatial.depth`. */
  readonly parameters: ParameterScope;
  /** width / height of the image. */
  readonly aspect: number;
}

interface Size {
  readonly height: number;
  readonly width: number;
}

/**
 * Raw output maps of one head.
 * @param parameters scope that holds `projects.0.weight`, for example `spatial.depth`.
 * @param taps four (V, h, w, C) maps of one grid, shallow to deep.
 * @param outputSize pixels of the result; its aspect is taken as that of the image.
 * @returns (V, height, width, outputs) before any activation.
 * @throws SpatialError WEIGHT_MISSING naming the parameter.
 */
export function dptHead(
  options: DptOptions,
  parameters: ParameterScope,
  taps: readonly Tensor[],
  outputSize: Size,
): Tensor {
  const head = { options, parameters, aspect: outputSize.width / outputSize.height };
  return dptOutput(head, dptFuse(head, dptPyramid(head, taps), outputSize), outputSize);
}

/** Tap k at 4h, 2h, h or ⌈h/2⌉ rows, all with the pyramid's common channels. @param taps as of {@link dptHead}. */
export const dptPyramid = (head: DptContext, taps: readonly Tensor[]): readonly Tensor[] =>
  taps.map((tap, stage) => reassemble(head, tap, stage));

/**
 * Fuses a pyramid from deep to shallow. The finest level ends at twice its own size, or at `limit` if that is smaller.
 * @param chain ending of the names of the fusion blocks (`refinenet1_aux`), for heads with several chains.
 * @returns (V, height, width, features).
 */
export function dptFuse(
  head: DptContext,
  pyramid: readonly Tensor[],
  limit: Size,
  chain = '',
): Tensor {
  const [first, second, third, fourth] = pyramid as [Tensor, Tensor, Tensor, Tensor];
  const height = Math.min(2 * first.shape[1]!, limit.height);
  const width = Math.min(2 * first.shape[2]!, limit.width);
  const block = (level: number) => head.parameters.scope(`scratch.refinenet${level}${chain}`);
  let path = fuse(head, block(4), fourth, undefined, sizeOf(third));
  path = fuse(head, block(3), path, third, sizeOf(second));
  path = fuse(head, block(2), path, second, sizeOf(first));
  return fuse(head, block(1), path, first, [height, width]);
}

/**
 * Fused features to output maps: 3×3, resize, position embedding, 3×3, ReLU, 1×1.
 * @returns (V, height, width, outputs) before any activation.
 */
export function dptOutput(head: DptContext, fused: Tensor, size: Size): Tensor {
  const last = head.parameters.scope('scratch.output_conv2.2');
  return convolve1x1(last, dptHidden(head, fused, size));
}

/** {@link dptOutput} before its last convolution. @returns (V, height, width, hidden). */
export function dptHidden(head: DptContext, fused: Tensor, { height, width }: Size): Tensor {
  const scratch = head.parameters.scope('scratch');
  const narrow = convolve3x3(scratch.scope('output_conv1'), fused);
  const sized = embed(head, resizeAligned(narrow, height, width));
  return tf.relu(convolve3x3(scratch.scope('output_conv2.0'), sized));
}

const embed = (head: DptContext, x: Tensor): Tensor =>
  head.options.positionEmbedding ? addPositionEmbedding(x, head.aspect) : x;

function reassemble(head: DptContext, tap: Tensor, stage: number): Tensor {
  const { parameters } = head;
  const resize = parameters.scope(`resize_layers.${stage}`);
  const projected = embed(head, convolveShared1x1(parameters.scope(`projects.${stage}`), tap));
  let resized = projected;
  if (stage < 2) resized = upsampleByKernel(resize, projected);
  if (stage === 3) resized = convolve3x3(resize, projected, { stride: 2 });
  return convolve3x3(parameters.scope(`scratch.layer${stage + 1}_rn`), resized, {
    bias: false,
  });
}

const sizeOf = (x: Tensor): readonly [number, number] => [x.shape[1]!, x.shape[2]!];

function fuse(
  head: DptContext,
  block: ParameterScope,
  path: Tensor,
  skip: Tensor | undefined,
  [height, width]: readonly [number, number],
): Tensor {
  const sum =
    skip === undefined
      ? path
      : tf.add(path, residualUnit(head.options, block.scope('resConfUnit1'), skip));
  const refined = residualUnit(head.options, block.scope('resConfUnit2'), sum);
  const mixed = convolve1x1(block.scope('out_conv'), refined);
  return resizeAligned(mixed, height, width);
}

/** x + conv2(relu(conv1(relu(x)))), or the same with relu(x) in the skip path. */
function residualUnit(options: DptOptions, unit: ParameterScope, x: Tensor): Tensor {
  const active = tf.relu(x);
  const inner = tf.relu(convolve3x3(unit.scope('conv1'), active));
  const residual = convolve3x3(unit.scope('conv2'), inner);
  return tf.add(options.residualRelu ? active : x, residual);
}
