/** Depth and sky of one view. Source: Depth Anything 3 (arXiv:2511.10647), model/dpt.py. */
import {
  convolve1x1,
  convolve3x3,
  dptFuse,
  dptPyramid,
  type ParameterScope,
  resizeAligned,
  type Tensor,
  tf,
} from '@spatialsv/core/kit';
import { type PixelSize, withoutChannel } from './da3-dual-dpt.js';

const OPTIONS = { residualRelu: false, positionEmbedding: false };

export type MonoOutputs = {
  /** (1, H, W) z-depth. */
  readonly depth: Tensor;
  /** (1, H, W) ≥ 0; sky from about 0.3. */
  readonly sky: Tensor;
};

/** @param scope root of the network's parameters. @param taps four (1, h, w, C) maps, shallow to deep. */
export function monoHead(
  scope: ParameterScope,
  taps: readonly Tensor[],
  size: PixelSize,
): MonoOutputs {
  const parameters = scope.scope('head');
  const scratch = parameters.scope('scratch');
  const head = { options: OPTIONS, parameters, aspect: size.width / size.height };
  const fused = dptFuse(head, dptPyramid(head, taps), size);
  const narrow = convolve3x3(scratch.scope('output_conv1'), fused);
  const sized = resizeAligned(narrow, size.height, size.width);
  const output = (name: string): Tensor => {
    const hidden = tf.relu(convolve3x3(scratch.scope(`${name}.0`), sized));
    return withoutChannel(convolve1x1(scratch.scope(`${name}.2`), hidden));
  };
  return { depth: tf.exp(output('output_conv2')), sky: tf.relu(output('sky_output_conv2')) };
}
