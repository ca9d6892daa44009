import { type Tensor, tf } from '../tfjs.js';
import { TRACE_BACKEND } from '../trace/backend.js';

/**
 * Runs one of our own kernels while a program is traced, and the composition of plain tfjs operations otherwise, so
 * that the same program also runs eagerly on any tfjs backend.
 */
export function fused(
  kernel: string,
  inputs: Readonly<Record<string, Tensor>>,
  attributes: tf.NamedAttrMap,
  compose: () => Tensor,
): Tensor {
  if (tf.getBackend() !== TRACE_BACKEND) return compose();
  return runKernel(kernel, inputs, attributes);
}

export function runKernel<Result extends Tensor | Tensor[] = Tensor>(
  kernel: string,
  inputs: Readonly<Record<string, Tensor>>,
  attributes: tf.NamedAttrMap = {},
): Result {
  return tf.engine().runKernel(kernel, inputs, attributes) as Result;
}
