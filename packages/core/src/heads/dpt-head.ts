/**
 * Dense prediction transformer head (DPT, arXiv:2103.13413) in the form that VGGT gives it.
 * Source: VGGT (arXiv:2503.11651), vggt/heads/dpt_head.py. Deviations: the skip path of the residual units is x unless
 * `residualRelu`; the 1×1 `out_conv` runs before the interpolation, with which it commutes; the finest fusion never
 * exceeds the asked output size.
 */
import { type Tensor, tf } from '@spatialsv/engine';
import type { ParameterScope } from '../nn/index.js';
import { convolve1x1, convolve3x3, resizeAligned, upsampleByKernel } from './dense-layers.js';
import { addPositionEmbedding } from './position-embedding.js';

export interface DptOptions {
  readonly residualRelu: boolean;
  readonly positionEmbedding: boolean;
}

interface Head {
  readonly options: DptOptions;
  readonly parameters: ParameterScope;
  readonly aspect: number;
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
  outputSize: { readonly height: number; readonly width: number },
): Tensor {
  const head = { options, parameters, aspect: outputSize.width / outputSize.height };
  const scratch = parameters.scope('scratch');
  const pyramid = taps.map((tap, stage) => reassemble(head, tap, stage));
  const fused = fusePyramid(head, pyramid, outputSize);
  const narrow = convolve3x3(scratch.scope('output_conv1'), fused);
  const sized = embed(head, resizeAligned(narrow, outputSize.height, outputSize.width));
  const hidden = tf.relu(convolve3x3(scratch.scope('output_conv2.0'), sized));
  return convolve1x1(scratch.scope('output_conv2.2'), hidden);
}

const embed = (head: Head, x: Tensor): Tensor =>
  head.options.positionEmbedding ? addPositionEmbedding(x, head.aspect) : x;

/** Tap k to the pyramid level of 4h, 2h, h or ⌈h/2⌉ rows, with the pyramid's common channels. */
function reassemble(head: Head, tap: Tensor, stage: number): Tensor {
  const { parameters } = head;
  const resize = parameters.scope(`resize_layers.${stage}`);
  const projected = embed(head, convolve1x1(parameters.scope(`projects.${stage}`), tap));
  let resized = projected;
  if (stage < 2) resized = upsampleByKernel(resize, projected);
  if (stage === 3) resized = convolve3x3(resize, projected, { stride: 2 });
  return convolve3x3(parameters.scope(`scratch.layer${stage + 1}_rn`), resized, {
    bias: false,
  });
}

/** Fuses from deep to shallow; the finest level ends at twice its own size or at the output size, if that is smaller. */
function fusePyramid(
  head: Head,
  pyramid: readonly Tensor[],
  outputSize: { readonly height: number; readonly width: number },
): Tensor {
  const [first, second, third, fourth] = pyramid as [Tensor, Tensor, Tensor, Tensor];
  const height = Math.min(2 * first.shape[1]!, outputSize.height);
  const width = Math.min(2 * first.shape[2]!, outputSize.width);
  let path = fuse(head, 4, fourth, undefined, sizeOf(third));
  path = fuse(head, 3, path, third, sizeOf(second));
  path = fuse(head, 2, path, second, sizeOf(first));
  return fuse(head, 1, path, first, [height, width]);
}

const sizeOf = (x: Tensor): readonly [number, number] => [x.shape[1]!, x.shape[2]!];

function fuse(
  head: Head,
  level: number,
  path: Tensor,
  skip: Tensor | undefined,
  [height, width]: readonly [number, number],
): Tensor {
  const block = head.parameters.scope(`scratch.refinenet${level}`);
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
