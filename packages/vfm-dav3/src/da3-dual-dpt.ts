/** Depth and rays of one view. Source: Depth Anything 3 (arXiv:2511.10647), model/dualdpt.py. */
import {
  convolve1x1,
  convolve3x3,
  convolveInTurn,
  type DptContext,
  dptFuse,
  dptOutput,
  dptPyramid,
  layerNorm,
  type ParameterScope,
  positionEmbedding,
  type Tensor,
  tf,
} from '@spatialsv/core/kit';
import { RAY_NORM } from './da3-names.js';

const NORM_EPSILON = 1e-5;
const OPTIONS = { residualRelu: false, positionEmbedding: true };
/** Convolutions without a non-linearity between them that lead to the rays. */
const NECK = [0, 1, 2, 3, 4];

export interface PixelSize {
  readonly height: number;
  readonly width: number;
}

export type DualOutputs = {
  /** (1, H, W) z-depth. */
  readonly depth: Tensor;
  /** (1, H, W), above 1. */
  readonly depthConfidence: Tensor;
  /** (1, 8h, 8w, 6) origin, then direction with camera z = 1 (not normalised): the network's own order is the reverse. */
  readonly rays?: Tensor;
  /** (1, 8h, 8w), above 1. */
  readonly rayConfidence?: Tensor;
};

/**
 * @param scope root of the network's parameters. @param taps four (1, h, w, 2C) maps, shallow to deep.
 * @param size pixels of the view. @param withRays whether the ray branch is computed: about half of the work.
 */
export function dualHead(
  scope: ParameterScope,
  taps: readonly Tensor[],
  size: PixelSize,
  withRays: boolean,
): DualOutputs {
  const parameters = scope.scope('head');
  const head = { options: OPTIONS, parameters, aspect: size.width / size.height };
  const normed = taps.map((tap) => layerNorm(parameters.scope('norm'), tap, NORM_EPSILON));
  const pyramid = dptPyramid(head, normed);
  const raw = dptOutput(head, dptFuse(head, pyramid, size), size);
  const [depth, confidence] = tf.split(raw, 2, 3) as [Tensor, Tensor];
  return {
    depth: tf.exp(withoutChannel(depth)),
    depthConfidence: aboveOne(confidence),
    ...(withRays ? rayBranch(scope, head, pyramid, size) : {}),
  };
}

/** Drops the last axis, of size 1. */
export const withoutChannel = (x: Tensor): Tensor => tf.squeeze(x, [3]);

const aboveOne = (raw: Tensor): Tensor => tf.add(tf.exp(withoutChannel(raw)), 1);

function rayBranch(
  scope: ParameterScope,
  head: DptContext,
  pyramid: readonly Tensor[],
  size: PixelSize,
): Required<Pick<DualOutputs, 'rays' | 'rayConfidence'>> {
  const { parameters } = head;
  const output = parameters.scope('scratch.output_conv2_aux.3');
  const layers = [
    ...NECK.map((i) => parameters.scope(`scratch.output_conv1_aux.3.${i}`)),
    output.scope('0'),
  ];
  const fused = dptFuse(head, pyramid, size, '_aux');
  const positions = convolvedPositions(output.scope('0'), fused, head.aspect);
  const hidden = tf.add(convolveInTurn(layers, fused), positions);
  const active = tf.relu(layerNorm(scope.scope(RAY_NORM), hidden, NORM_EPSILON));
  const raw = convolve1x1(output.scope('5'), active);
  const [direction, origin, confidence] = tf.split(raw, [3, 3, 1], 3) as [Tensor, Tensor, Tensor];
  return { rays: tf.concat([origin, direction], 3), rayConfidence: aboveOne(confidence) };
}

/** What a convolution makes of the position embedding that is added to its input: a constant of the network. */
function convolvedPositions(layer: ParameterScope, { shape }: Tensor, aspect: number): Tensor {
  const [, h, w] = shape as [number, number, number];
  const channels = layer.get('weight').shape[1]!;
  return convolve3x3(layer, positionEmbedding({ h, w }, channels, aspect), { bias: false });
}
