import { tf } from '../tfjs.js';
import { TRACE_BACKEND, traceBackend } from '../trace/backend.js';

/**
 * Keeps the products of a part of a program in float32, whatever precision it is compiled in. Products of its backward pass,
 * which are written later, are in the program's precision.
 */
export function inFloat32<Result>(part: () => Result): Result {
  return tf.getBackend() === TRACE_BACKEND ? traceBackend.graph.exactly(part) : part();
}
