import {
  type CompiledProgram,
  compile,
  differentiate,
  float32,
  int32,
  type SpecTree,
  type Tensor,
  tf,
} from '@spatialsv/engine';
import type { BlockInputsV1, DecoderV1, Parameters } from '../spec.js';
import type { LayerProgramContext } from './layer-programs.js';

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

interface GradientTensors {
  readonly trained: Parameters;
  readonly frozen: Parameters;
  readonly x: Tensor;
  readonly positions: Tensor;
  readonly dy: Tensor;
}

/**
 * {@link blockGradients} as a program for every block of one kind and length: the state `dy` becomes dL/dx, and `gradients`
 * are returned.
 */
export function compileBlockGradients(
  { decoder, sizes, device, precision }: LayerProgramContext,
  kind: string,
  weights: { readonly trained: SpecTree; readonly frozen: SpecTree },
  length: number,
): Promise<CompiledProgram> {
  const program = ({ trained, frozen, ...tensors }: GradientTensors) => {
    const { dx, gradients } = blockGradients(decoder, kind, { trained, frozen }, tensors);
    return { dy: dx, gradients };
  };
  const rows = float32(length, sizes.hiddenSize);
  const specs = { ...weights, x: rows, positions: int32(sizes.positionRows, length), dy: rows };
  return compile(program, specs, { device, precision, state: ['dy'], name: 'block-gradients' });
}
