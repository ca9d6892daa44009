import { type Graph, sizeOf, type Value } from './graph.js';

const BYTES: Readonly<Record<Value['dtype'], number>> = {
  float32: 4,
  int32: 4,
  int64: 8,
  float16: 2,
  bfloat16: 2,
  bool: 1,
  uint8: 1,
};

const bytesOf = ({ shape, dtype }: Value): number => sizeOf(shape) * BYTES[dtype];

/**
 * Bytes of results that are held at once where the nodes of a graph run in their order and a result goes with its last
 * reader: what a run allocates, without inputs and constants. Results that ONNX Runtime writes over an input of a node count
 * twice for a moment, so this is an upper bound where it does.
 */
export function peakBytes(graph: Graph): number {
  const lastRead = new Map<Value, number>();
  graph.nodes.forEach((node, index) => {
    for (const value of node.inputs) if (value !== undefined) lastRead.set(value, index);
  });
  for (const { value } of graph.outputs) lastRead.set(value, Number.POSITIVE_INFINITY);
  const made = new Set<Value>();
  let held = 0;
  let peak = 0;
  graph.nodes.forEach((node, index) => {
    for (const value of node.outputs) {
      made.add(value);
      held += bytesOf(value);
    }
    peak = Math.max(peak, held);
    const ended = [...node.inputs, ...node.outputs].filter(
      (value) => value !== undefined && made.has(value) && (lastRead.get(value) ?? index) <= index,
    );
    for (const value of new Set(ended)) {
      made.delete(value!);
      held -= bytesOf(value!);
    }
  });
  return peak;
}
