import type { Tree } from './specs.js';
import { type Tensor, tf } from './tfjs.js';
import { TRACE_BACKEND, traceBackend } from './trace/backend.js';
import { flatten, isTensor, mapTree } from './tree.js';

export interface Differentiated<Outputs> {
  readonly outputs: Outputs;
  readonly gradients: Record<string, Tensor>;
}

/**
 * Gradients of a program in float16 are computed times this number and divided by it: many lie below its smallest number,
 * 6·10⁻⁸. A power of two changes nothing else.
 */
const FLOAT16_GRADIENT_SCALE = 2 ** 12;

/**
 * Value and gradients of a scalar loss by every parameter, for use inside a program.
 * @param f maps the parameters to an object with a scalar `loss` and any other tensors to pass on.
 * @returns `outputs` as f returned them, and a gradient of each parameter's shape (zeros where the loss does not
 *   depend on it).
 */
export function differentiate<
  Outputs extends { readonly loss: Tensor; readonly [name: string]: Tree<Tensor> },
>(
  f: (parameters: Record<string, Tensor>) => Outputs,
  parameters: Readonly<Record<string, Tensor>>,
): Differentiated<Outputs> {
  const names = Object.keys(parameters);
  const values = names.map((name) => parameters[name]!);
  const scale = gradientScale();
  let outputs: Outputs | undefined;
  const { grads } = tf.engine().gradients(
    () => {
      outputs = f({ ...parameters });
      // tfjs ends the scope of the forward pass here; what the caller asked for has to outlive it.
      for (const [, tensor] of flatten<Tensor>(outputs as Tree<Tensor>, isTensor)) tf.keep(tensor);
      return outputs.loss as tf.Scalar;
    },
    values,
    scale === 1 ? undefined : tf.scalar(scale),
    true,
  );
  const gradients = names.map((name, i) => [name, unscaled(grads[i], scale, values[i]!)]);
  return { outputs: release(outputs!), gradients: Object.fromEntries(gradients) };
}

const gradientScale = (): number =>
  tf.getBackend() === TRACE_BACKEND && traceBackend.graph.precision === 'float16'
    ? FLOAT16_GRADIENT_SCALE
    : 1;

function unscaled(gradient: Tensor | undefined, scale: number, value: Tensor): Tensor {
  if (gradient === undefined) return tf.zerosLike(value);
  return scale === 1 ? gradient : tf.mul(gradient, 1 / scale);
}

/** The same values in the caller's scope, which ends their life as that of any other tensor. */
function release<Outputs>(kept: Outputs): Outputs {
  return mapTree<Tensor, Tensor>(kept as Tree<Tensor>, isTensor, (tensor) => {
    const value = tf.clone(tensor);
    tensor.dispose();
    return value;
  }) as Outputs;
}
