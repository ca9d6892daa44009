import type { Graph, Substitutes, Value } from '../graph/graph.js';
import { binary, like, unary } from './elementwise.js';
import { reduce } from './reduce.js';

const bool = (x: Value) => ({ shape: x.shape, dtype: 'bool' }) as const;
const is = (graph: Graph, comparison: string, a: Value, b: Value): Value =>
  graph.add(comparison, [a, b], bool(a));

/** A scalar of the type of another value. */
const scalarLike = (graph: Graph, value: number, { dtype }: Value): Value =>
  dtype === 'int32' ? graph.constant(Int32Array.of(value), [], 'int32') : graph.scalar(value);

/** [x > 0] − [x < 0]; 0 for what is no number. */
function sign(graph: Graph, x: Value): Value {
  const zero = scalarLike(graph, 0, x);
  const [above, below] = ['Greater', 'Less'].map((comparison) =>
    graph.cast(is(graph, comparison, x, zero), x.dtype),
  );
  return binary(graph, 'Sub', above!, below!);
}

/** To the nearest integer, of two to the even one: ⌊x⌋, and 1 more from a rest above ½ on, or of ½ where ⌊x⌋ is odd. */
function round(graph: Graph, x: Value): Value {
  const [zero, half, one, two] = [0, 0.5, 1, 2].map((value) => graph.scalar(value));
  const below = unary(graph, 'Floor', x);
  const rest = binary(graph, 'Sub', x, below);
  const halved = unary(graph, 'Floor', binary(graph, 'Mul', below, half!));
  const odd = binary(graph, 'Sub', below, binary(graph, 'Mul', halved, two!));
  const ofHalf = graph.add('Where', [is(graph, 'Equal', rest, half!), odd, zero], like(x));
  const more = graph.add('Where', [is(graph, 'Greater', rest, half!), one, ofHalf], like(x));
  return binary(graph, 'Add', below, more);
}

/** ¬(¬a ∧ ¬b). */
const or = (graph: Graph, a: Value, b: Value): Value =>
  unary(graph, 'Not', binary(graph, 'And', unary(graph, 'Not', a), unary(graph, 'Not', b)));

/** x − max − log Σ exp(x − max). */
function logSoftmax(graph: Graph, x: Value, axis: number): Value {
  const shifted = binary(graph, 'Sub', x, reduce(graph, 'ReduceMax', x, axis, true));
  const sum = reduce(graph, 'ReduceSum', unary(graph, 'Exp', shifted), axis, true);
  return binary(graph, 'Sub', shifted, unary(graph, 'Log', sum));
}

/**
 * Operators that ONNX Runtime 1.30 has no kernel for in its WebGPU provider: it would bring their inputs to the host and the
 * results back, at every run. Left to it are those that no program needs at every step (ArgMax, ArgMin, IsNaN, Mod).
 */
export const WEBGPU_SUBSTITUTES: Substitutes = {
  Sign: (graph, [x]) => sign(graph, x!),
  Round: (graph, [x]) => round(graph, x!),
  Or: (graph, [a, b]) => or(graph, a!, b!),
  LogSoftmax: (graph, [x], { attributes }) => logSoftmax(graph, x!, attributes!['axis'] as number),
};
