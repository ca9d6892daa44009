import { differentiate, type Tensor, tf } from '@spatialsv/engine';
import type { BlockInputsV1, DecoderV1, Parameters } from '../spec.js';

/** Name of x among what a block is differentiated by; parameters have names that are not empty. */
const INPUT = '';

export interface BlockGradients {
  /** dL/dx (T, C). */
  readonly dx: Tensor;
  /** dL/dW of the trained parameters, by layer-free name. */
  readonly gradients: Readonly<Record<string, Tensor>>;
}

/**
 * Backward pass of one block over a whole sequence, from the block's input: the block is computed again, so that nothing
 * but its input has to be kept from the forward pass.
 * @param trained by layer-free name, likewise `frozen`.
 * @param x (T, C) the block's input. @param dy dL/dy (T, C) of its output.
 */
export function blockGradients(
  decoder: DecoderV1,
  kind: string,
  { trained, frozen }: { readonly trained: Parameters; readonly frozen: Parameters },
  { x, dy, ...inputs }: BlockInputsV1 & { readonly x: Tensor; readonly dy: Tensor },
): BlockGradients {
  const { gradients } = differentiate(
    ({ [INPUT]: at, ...values }) => {
      const y = decoder.block(kind, { ...frozen, ...values }, at!, inputs).x;
      return { loss: tf.sum(tf.mul(y, dy)) };
    },
    { [INPUT]: x, ...trained },
  );
  const { [INPUT]: dx, ...rest } = gradients;
  return { dx: dx!, gradients: rest };
}
