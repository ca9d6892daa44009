import type { Graph } from '../graph/graph.js';
import { type Tensor, tf } from '../tfjs.js';
import { TRACE_BACKEND, traceBackend } from '../trace/backend.js';

/** Gradients of the inputs of an operation by name, each written when it is asked for. */
type Gradients = Readonly<Record<string, () => Tensor>>;

/**
 * Keeps the products of a part of a program, and of its backward pass, in float32, whatever precision it is compiled in.
 */
export function inFloat32<Result>(part: () => Result): Result {
  if (tf.getBackend() !== TRACE_BACKEND) return part();
  const { graph } = traceBackend;
  // What tfjs notes of operations while it differentiates: nothing otherwise.
  const before = tf.engine().state.activeTape?.length ?? 0;
  const result = graph.exactly(part);
  for (const operation of tf.engine().state.activeTape?.slice(before) ?? []) {
    const { gradient } = operation;
    if (gradient == null) continue;
    operation.gradient = (dys) => exactGradients(graph, () => gradient(dys));
  }
  return result;
}

/** The backward pass is written when the part has long ended. */
function exactGradients(graph: Graph, gradients: () => Gradients): Gradients {
  const entries = Object.entries(graph.exactly(gradients));
  return Object.fromEntries(entries.map(([name, write]) => [name, () => graph.exactly(write)]));
}
